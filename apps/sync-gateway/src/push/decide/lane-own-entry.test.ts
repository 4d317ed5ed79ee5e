import { describe, expect, it } from '@jest/globals';
import { absorb, conflict, headOf, NOW_ISO, plan, planned, workOf } from '../testing/lane-rig.ts';
import type { Lane } from './lane.ts';

describe('the own entry of baseClock, in a lane', () => {
  const seen = { 's:learning': 1 };
  const head = headOf(
    3,
    { 's:learning': 1, 'd:d1': 2 },
    { text: 'mine' },
    {
      text: { atMs: Date.parse(NOW_ISO) - 5_000, by: 'd:d1', counter: 2 },
    },
  );
  const known = { head, told: null, counted: 2, restored: false, ownSequence: null };

  it('is added where it is left out: a device knows its own changes', () => {
    const works = [workOf({ baseClock: seen }), workOf({ baseClock: seen }), workOf({ baseClock: seen })];
    const lane = planned(works, head);
    expect([lane.need, lane.submissions]).toEqual([{ what: 'ledger' }, []]);
    lane.learnKnown(known);
    plan(lane);
    expect(lane.submissions.map(({ change }) => [change.status, change.clock])).toEqual(
      [3, 4, 5].map((own) => ['applied', { 's:learning': 1, 'd:d1': own }]),
    );
  });

  it('is added without asking where the change before it came in the same push', () => {
    const works = [workOf({ op: 'put' }), workOf(), workOf()];
    expect(planned(works).submissions.map(({ change }) => change.clock)).toEqual(
      [1, 2, 3].map((own) => ({ 'd:d1': own })),
    );
  });

  const overwritten = (lane: Lane, place: number): unknown => {
    const { change } = lane.submissions[place] ?? {};
    return [change?.status, change?.record?.ours, change?.clock, change?.expectedRevision];
  };

  it('is not added for a device that was restored: what it has forgotten is recorded, under a number of its own', () => {
    const works = [workOf({ baseClock: seen }), workOf({ baseClock: seen })];
    const lane = planned(works, head);
    lane.learnKnown({ ...known, restored: true });
    plan(lane);
    // Its owner's inbox may know them, long after the ledger has forgotten.
    absorb(lane, ...works.map((work) => conflict(work, 3, head.clock, { text: 'mine' })));
    plan(lane);
    expect(overwritten(lane, 0)).toEqual(['merged', { text: 'mine' }, { 's:learning': 1, 'd:d1': 3 }, 3]);
    expect(lane.submissions[1]?.change).toMatchObject({ status: 'merged', clock: { 'd:d1': 4 } });
  });

  it('is left as it is where it counts fewer changes than there are, though another has the same number', () => {
    const work = workOf({ baseClock: { ...seen, 'd:d1': 1 } });
    const lane = planned([work], head);
    expect(lane.submissions[0]?.change).toMatchObject({ expectedRevision: 0 });
    absorb(lane, conflict(work, 3, head.clock, { text: 'mine' }));
    plan(lane);
    expect(overwritten(lane, 0)).toEqual(['merged', { text: 'mine' }, { 's:learning': 1, 'd:d1': 3 }, 3]);
  });

  it('asks whether the device was restored between two pushes, and not within one', () => {
    const later = Date.parse(NOW_ISO) + 1_000;
    const works = [workOf({ op: 'put' }), workOf(), workOf({}, { receivedAtMs: later })];
    const lane = planned(works);
    expect(lane.submissions.map(({ work }) => work.receivedAtMs < later)).toEqual([true, true]);
  });

  it('is asked for although it counts all, where the device has counted from anew', () => {
    const work = workOf({ baseClock: { ...seen, 'd:d1': 2 } }, { mayForget: true });
    const lane = planned([work], head);
    expect([lane.need, lane.submissions]).toEqual([{ what: 'ledger' }, []]);
    lane.learnKnown({ ...known, restored: true });
    plan(lane);
    expect(overwritten(lane, 0)).toEqual(['merged', { text: 'mine' }, { 's:learning': 1, 'd:d1': 3 }, 3]);
  });

  it('stands as it came in the push that counts from anew, however often that is', () => {
    const lane = planned([workOf({ baseClock: { ...seen, 'd:d1': 2 } })], head);
    lane.learnKnown({ ...known, restored: true });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ status: 'applied', clock: { 'd:d1': 3 } });
  });

  it('is not added to what was made before the last change, and came after it', () => {
    const work = workOf({ baseClock: seen });
    const lane = planned([work], head);
    lane.learnKnown({ ...known, ownSequence: work.mutation.sequence + 1 });
    plan(lane);
    absorb(lane, conflict(work, 3, head.clock, { text: 'mine' }));
    plan(lane);
    expect(overwritten(lane, 0)).toEqual(['merged', { text: 'mine' }, { 's:learning': 1, 'd:d1': 3 }, 3]);
  });
});
