import { describe, expect, it } from '@jest/globals';
import { applied, plan, planned, absorb, headOf, NOW_ISO, workOf } from '../testing/lane-rig.ts';
import { afterWhatTheyNeed, bringForward, isPatient } from './earlier-changes.ts';

describe('mutations that arrived before what they depend on', () => {
  const mate = (mutationId: string, entityId: string, ...dependsOn: string[]) => {
    return { mutationId, entityType: 'note', entityId, dependsOn };
  };
  const idsOf = (...mates: ReturnType<typeof mate>[]): string[] =>
    afterWhatTheyNeed(mates).map(({ mutationId }) => mutationId);

  it('come behind it where it is one of the same entity', () => {
    expect(idsOf(mate('a', 'n1'), mate('b', 'n1', 'd'), mate('c', 'n1', 'd'), mate('d', 'n1'))).toEqual([
      'a',
      'd',
      'b',
      'c',
    ]);
  });

  it('come behind it although they are the very first', () => {
    expect(idsOf(mate('b', 'n1', 'a'), mate('a', 'n1'))).toEqual(['a', 'b']);
  });

  it('stay where they are beside another type of entity', () => {
    const other = { ...mate('a', 'n1', 'b'), entityType: 'page' };
    expect(idsOf(other, mate('b', 'n1'))).toEqual(['a', 'b']);
  });

  it('stay where they are otherwise', () => {
    expect(idsOf(mate('a', 'n1', 'b'), mate('b', 'n2'), mate('c', 'n1'))).toEqual(['a', 'b', 'c']);
  });
});

it('a mutation waits a quarter of an hour for what it builds on', () => {
  const waits = [0, 899_999, 900_000].map((nowMs) => isPatient({ receivedAtMs: 0 }, nowMs));
  expect(waits).toEqual([true, true, false]);
});

describe('a lane whose order was lost', () => {
  it.each<[string, number[], number, number, number[]]>([
    ['nothing waits', [], 0, 0, []],
    ['all is in hand', [3, 1], 2, 0, [0, 1]],
    ['what comes next is next, though an earlier one is behind it', [2, 1], 0, 1, [0, 1]],
    ['none counts fewer', [3, 4], 0, 0, [0, 1]],
    ['some do', [4, 3, 2, 3], 0, 0, [2, 0, 1, 3]],
    ['two count the same', [4, 2, 2], 0, 0, [1, 0, 2]],
    ['what is planned counts fewer', [1, 4, 3], 1, 1, [0, 2, 1]],
  ])('brings forward what counts the fewest changes: %s', (_what, counters, from, stands, order) => {
    const works = counters.map((counter) => workOf({ baseClock: { 'd:d1': counter - 1 } }));
    const waiting = [...works];
    bringForward(waiting, from, stands);
    expect(waiting.map((work) => works.indexOf(work))).toEqual(order);
  });

  it('goes by the number of changes that each has seen', () => {
    const works = [2, 0, 1].map((own) => workOf({ op: own ? 'patch' : 'put', baseClock: { 'd:d1': own } }));
    const lane = planned(works);
    expect(lane.submissions.map(({ work }) => work)).toEqual([works[1], works[2], works[0]]);
  });

  it('waits for a change that has not come, once the ledger says that it has not', () => {
    const work = workOf({ baseClock: { 'd:d1': 1 } });
    const lane = planned([work]);
    expect(lane.need).toEqual({ what: 'ledger' });
    lane.learnKnown({ head: null, told: null, counted: 0, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.settlements.get(work)).toMatchObject({ reason: 'earlier_missing' });
  });

  it('goes on from what the ledger knows while the read model is behind', () => {
    const work = workOf({ baseClock: { 'd:d1': 1 } });
    const lane = planned([work]);
    const told = { revision: 4, clock: { 'd:d1': 1 }, deleted: false };
    lane.learnKnown({ head: null, told, counted: 1, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ status: 'applied', expectedRevision: 4 });
    absorb(lane, applied(work, 5));
    expect(lane.settlements.get(work)).toMatchObject({ status: 'applied', clock: { 'd:d1': 2 } });
  });

  it('goes on from the newest that is known', () => {
    const clock = { 's:learning': 1, 'd:d1': 1 };
    const revisionAfter = (head: number | null, told: number | null): unknown => {
      const lane = planned([workOf({ baseClock: { ...clock, 'd:d1': 2 } })], headOf(7, clock, { text: 'x' }));
      lane.learnKnown({
        head: head === null ? null : headOf(head, clock, { text: 'x' }),
        told: told === null ? null : { revision: told, clock, deleted: false },
        ...{ counted: 2, restored: false, ownSequence: null },
      });
      plan(lane);
      return lane.submissions[0]?.change.expectedRevision;
    };
    expect([revisionAfter(null, null), revisionAfter(6, null), revisionAfter(8, null)]).toEqual([7, 7, 8]);
    expect([revisionAfter(null, 6), revisionAfter(null, 8), revisionAfter(9, 8)]).toEqual([7, 8, 9]);
  });

  it('knows the entity no less after the ledger has told of the same revision', () => {
    const clock = { 's:learning': 1, 'd:d1': 1 };
    const head = headOf(7, clock, { colour: 'red' });
    const lane = planned([workOf()], head);
    expect(lane.need).toEqual({ what: 'ledger' });
    const told = { revision: 7, clock, deleted: false };
    lane.learnKnown({ head, told, counted: 1, restored: true, ownSequence: null });
    plan(lane);
    expect(lane.need).toBeNull();
  });

  it('is given up after a quarter of an hour where the entity was never made', () => {
    const work = workOf({ baseClock: { 'd:d1': 1 } }, { receivedAtMs: Date.parse(NOW_ISO) - 900_000 });
    const lane = planned([work]);
    lane.learnKnown({ head: null, told: null, counted: 0, restored: false, ownSequence: null });
    plan(lane);
    absorb(lane);
    expect(lane.settlements.get(work)).toMatchObject({ status: 'rejected', code: 'dependency_failed' });
  });

  it('does not wait for a change that was refused', () => {
    const work = workOf({ baseClock: { 'd:d1': 3 } });
    const lane = planned([work], headOf(2, { 'd:d1': 1 }, { text: 'x' }));
    lane.learnKnown({ head: null, told: null, counted: 3, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ expectedRevision: 2, clock: { 'd:d1': 4 } });
  });
});
