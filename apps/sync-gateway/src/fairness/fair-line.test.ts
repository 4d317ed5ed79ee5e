import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Asker, FairLine, type Waiting } from './fair-line.ts';

interface Named extends Waiting {
  readonly at: number;
}

let next = 0;
const one = (tenantId: string, callerId = 'c', costMs = 1, bytes = 0): Named => ({
  asker: { tenantId, callerId },
  ...{ costMs, bytes, at: next++ },
});
const ALL = Infinity;

function takeAll(line: FairLine<Named>): Asker[] {
  const taken: Asker[] = [];
  for (let each = line.take(ALL); each; each = line.take(ALL)) {
    taken.push(each.asker);
    line.end(each.asker);
  }
  return taken;
}

it('takes tenants in turn, and in a tenant its callers in turn, however many wait', () => {
  const line = new FairLine<Named>();
  for (const callerId of ['a', 'a', 'a', 'b']) line.add(one('big', callerId));
  for (let count = 0; count < 2; count += 1) line.add(one('small'));
  expect(takeAll(line).map(({ tenantId, callerId }) => `${tenantId} ${callerId}`)).toEqual([
    'big a',
    'small c',
    'big b',
    'small c',
    'big a',
    'big a',
  ]);
});

it('gives a tenant whose requests cost ten times as much a tenth of the turns', () => {
  const line = new FairLine<Named>();
  for (let count = 0; count < 40; count += 1) line.add(one('dear', 'c', 10));
  for (let count = 0; count < 40; count += 1) line.add(one('cheap'));
  const first = takeAll(line).slice(0, 44);
  expect(first.filter(({ tenantId }) => tenantId === 'dear')).toHaveLength(4);
});

it('counts what a request has cost in the end', () => {
  const line = new FairLine<Named>();
  for (const tenantId of ['wrong', 'right', 'wrong', 'right', 'right']) line.add(one(tenantId));
  const wrong = line.take(ALL)?.asker ?? { tenantId: '', callerId: '' };
  line.end(wrong, 2);
  expect(takeAll(line).map(({ tenantId }) => tenantId)).toEqual(['right', 'right', 'right', 'wrong']);
});

const Request = fc.record({
  tenantId: fc.constantFrom('a', 'b', 'c', 'd'),
  callerId: fc.constantFrom('1', '2', '3'),
  costMs: fc.integer({ min: 1, max: 20 }),
});

it('is work-conserving: whoever is added is taken, once, while nobody has reached his bound', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(Request, fc.constant(null)), { maxLength: 200 }), (steps) => {
      const line = new FairLine<Named>();
      const added = new Set<Named>();
      const taken = new Set<Named>();
      const take = (): void => {
        const each = line.take(ALL);
        expect(each === undefined).toBe(added.size === taken.size);
        if (!each) return;
        expect(taken.has(each)).toBe(false);
        taken.add(each);
        line.end(each.asker);
      };
      for (const step of steps) {
        if (!step) take();
        else {
          const each = one(step.tenantId, step.callerId, step.costMs);
          added.add(each);
          line.add(each);
        }
      }
      while (line.waiting > 0) take();
      expect([taken, line.bytes]).toEqual([added, 0]);
    }),
  );
});

it('starves nobody: no other tenant gets more work than one that waits all the time, and one request', () => {
  fc.assert(
    fc.property(
      fc.array(Request, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 20 }),
      (others, costMs) => {
        const line = new FairLine<Named>();
        const work = new Map<string, number>();
        for (const other of others.slice(0, 20)) line.add(one(other.tenantId, other.callerId, other.costMs));
        for (let count = 0; count < 400; count += 1) line.add(one('patient', 'c', costMs));
        for (const other of others) {
          const each = line.take(ALL);
          if (!each) throw new Error('somebody waits');
          const { tenantId } = each.asker;
          work.set(tenantId, (work.get(tenantId) ?? 0) + each.costMs);
          line.end(each.asker);
          // Whoever was taken comes again at once, as others do who have nothing here.
          line.add(one(other.tenantId, other.callerId, other.costMs));
          const own = work.get('patient') ?? 0;
          for (const [name, theirs] of work) {
            if (name !== 'patient') expect(theirs).toBeLessThanOrEqual(own + costMs + 20);
          }
        }
      },
    ),
  );
});

it('takes no more of a tenant than may be inside, and names the newest of the heaviest', () => {
  const line = new FairLine<Named>();
  for (const callerId of ['a', 'b', 'b']) line.add(one('many', callerId, 1, 1));
  line.add(one('large', 'c', 1, 100));
  const newest = line.newestOfHeaviest('waiting');
  expect(newest?.asker).toEqual({ tenantId: 'many', callerId: 'b' });
  expect(line.newestOfHeaviest('bytes')?.asker.tenantId).toBe('large');
  expect([line.leave(newest as Named), line.leave(newest as Named), line.waiting]).toEqual([true, false, 3]);
  expect([line.take(1)?.asker.tenantId, line.take(1)?.asker.tenantId, line.take(1)]).toEqual([
    'many',
    'large',
    undefined,
  ]);
  line.end({ tenantId: 'many', callerId: 'a' });
  expect(line.take(1)?.asker.tenantId).toBe('many');
});

it('forgets tenants that have nothing here, however many there were', () => {
  const line = new FairLine<Named>();
  line.add(one('stays'));
  line.take(ALL);
  for (let count = 0; count < 30_000; count += 1) {
    line.add(one(`t${count}`));
    line.end(line.take(ALL)?.asker ?? { tenantId: '', callerId: '' });
  }
  expect(line.tenants).toBeLessThanOrEqual(20_000);
  line.end({ tenantId: 'stays', callerId: 'c' });
  for (let count = 0; count < 30_000; count += 1) {
    line.add(one(`t${count}`));
    line.end(line.take(ALL)?.asker ?? { tenantId: '', callerId: '' });
  }
  expect(line.tenants).toBeLessThan(1_000);
});
