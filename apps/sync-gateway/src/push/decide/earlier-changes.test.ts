import { describe, expect, it } from '@jest/globals';
import { applied, plan, planned, absorb, headOf, workOf } from '../testing/lane-rig.ts';
import { afterWhatTheyNeed } from './earlier-changes.ts';

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

  it('stay where they are otherwise', () => {
    expect(idsOf(mate('a', 'n1', 'b'), mate('b', 'n2'), mate('c', 'n1'))).toEqual(['a', 'b', 'c']);
  });
});

describe('a lane whose order was lost', () => {
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

  it('does not wait for a change that was refused', () => {
    const work = workOf({ baseClock: { 'd:d1': 3 } });
    const lane = planned([work], headOf(2, { 'd:d1': 1 }, { text: 'x' }));
    lane.learnKnown({ head: null, told: null, counted: 3, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ expectedRevision: 2, clock: { 'd:d1': 4 } });
  });
});
