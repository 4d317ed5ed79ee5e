import { type CheckResult, catchAll, checkNames, runChecks } from '@sync/e2e-conformance';
import { OWNER_KIT } from '../owner-kit.ts';
import { type BreakableOwner, startBreakableOwner } from './breakable-owner.ts';
import type { BrokenOwner } from './broken-owner.ts';
import { BROKEN_OWNERS } from './broken-owners.ts';

/** Two cores, and one of them has the service. */
const AT_ONCE = 2;

let breakable: BreakableOwner;
beforeAll(async () => {
  breakable = await startBreakableOwner();
});
afterAll(() => breakable.stop());

it('finds nothing in an owning service that is written without an SDK', async () => {
  const results = await runChecks(OWNER_KIT, breakable.target, await checkNames(OWNER_KIT));
  const of = (status: CheckResult['status']): CheckResult[] => results.filter((one) => one.status === status);
  expect(of('failed')).toEqual([]);
  // Of what it is not: a record that is never changed, a document, a type with versions, on the SDK; nor has
  // it clocks.
  expect(of('not checked')).toHaveLength(6);
  expect(of('passed').length).toBeGreaterThan(25);
});

it('catches an owning service that is broken on purpose, and not one that is not broken', async () => {
  const few = BROKEN_OWNERS.filter(({ isShort }) => isShort);
  const [first] = few;
  if (!first) throw new Error('there is no broken owner');
  const mended: BrokenOwner = { ...first, breaks: () => ({}) };
  const catches = await catchAll(breakable, [...few, mended], AT_ONCE);
  expect(catches.filter(({ verdict }) => verdict !== 'caught')).toEqual([
    { broken: mended, verdict: 'missed', why: 'the fault was never shown to the check' },
  ]);
  expect(catches.length).toBeGreaterThan(3);
});
