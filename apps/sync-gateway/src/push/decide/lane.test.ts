import { describe, expect, it } from '@jest/globals';

import type { OwnerPushResult } from '@sync/protocol';
import { postponed, type Settlement, type Work } from '../outcome/settlement.ts';
import {
  absorb,
  append,
  applied,
  COLOURED,
  conflict,
  context,
  headOf,
  lww,
  NOW_ISO,
  plan,
  planned,
  unanswered,
  workOf,
} from '../testing/lane-rig.ts';
import { Lane } from './lane.ts';

describe('planning', () => {
  it('expects each change to succeed', () => {
    const works = [workOf(), workOf({ baseClock: { 'd:d1': 1 } }), workOf({ baseClock: { 'd:d1': 2 } })];
    const lane = planned(works, headOf(7, {}, { text: 'x' }));
    expect(lane.submissions.map(({ change }) => [change.expectedRevision, change.clock])).toEqual([
      [7, { 'd:d1': 1 }],
      [8, { 'd:d1': 2 }],
      [9, { 'd:d1': 3 }],
    ]);
  });

  it('stops at a mutation that has to wait, and postpones what follows once it is first', () => {
    const [first, held, last] = [workOf(), workOf({}, { hold: postponed('dependency_waits') }), workOf()];
    const lane = planned([first, held, last]);
    expect(lane.submissions).toHaveLength(1);
    absorb(lane, applied(first, 1));
    plan(lane);
    expect([lane.done, lane.settlements.get(held), lane.settlements.get(last)]).toEqual([
      true,
      postponed('dependency_waits'),
      postponed('lane_waits'),
    ]);
    const later = workOf();
    lane.extend([later]);
    expect([lane.done, lane.settlements.get(later)]).toEqual([true, postponed('lane_waits')]);
  });

  it('says of each that is postponed why, and whether its owner may have it', () => {
    const end = { kind: 'settled', status: 'rejected', code: 'no', current: '{}' } as const;
    const hold = postponed('dependency_waits');
    const works = [
      ...[workOf({ op: 'put' }), workOf(), workOf({}, { hold })],
      ...[workOf({}, { hold: end }), workOf({}, { mayBeSent: true })],
    ];
    const lane = planned(works);
    absorb(lane);
    expect(works.map((work) => lane.settlements.get(work))).toEqual([
      unanswered,
      postponed('lane_waits', true),
      hold,
      postponed('lane_waits'),
      postponed('lane_waits', true),
    ]);
    const refused = planned(works.slice(0, 2));
    refused.postpone(postponed('owner_busy'), refused.submissions);
    expect(refused.settlements.get(works[0] as Work)).toEqual(postponed('owner_busy'));
  });

  it('asks nothing of an append: it builds on nothing', () => {
    const work = workOf({ op: 'append', data: { text: 'x' } }, { registration: append });
    const lane = planned([work], headOf(1, { 'd:d1': 3 }, { text: 'y' }));
    expect([lane.need, lane.submissions.length]).toEqual([null, 1]);
  });

  it('goes one by one where the owner compares each revision by itself', () => {
    const registration = { ...lww, pushChains: false };
    const works = [workOf({}, { registration }), workOf({ baseClock: { 'd:d1': 1 } }, { registration })];
    const lane = planned(works);
    expect(lane.submissions.map(({ work }) => work)).toEqual([works[0]]);
  });

  it('counts what ends before it in the same push', () => {
    const end = { kind: 'settled', status: 'rejected', code: 'no', current: '{}' } as const;
    const lane = planned([workOf({}, { hold: end }), workOf({ baseClock: { 'd:d1': 1 } })]);
    expect([lane.need, lane.submissions.length]).toEqual([null, 1]);
    const ended = lane.first as Work;
    absorb(lane, applied(lane.submissions[0]?.work as Work, 1));
    expect([lane.settlements.get(ended), lane.awaitedCurrents]).toEqual([end, []]);
  });
});

describe('answers that differ from the plan', () => {
  it('are planned again on what the owner says', () => {
    const works = [
      workOf({ baseClock: { 's:learning': 5 } }),
      workOf({ baseClock: { 's:learning': 5, 'd:d1': 1 } }),
    ];
    const lane = planned(works);
    const [first, second] = works as [Work, Work];
    const state = { 's:learning': 5 };
    absorb(lane, conflict(first, 5, state, {}), conflict(second, 5, state, {}));
    plan(lane);
    expect(lane.submissions.map(({ change }) => change.expectedRevision)).toEqual([5, 6]);
  });

  it('are given up after three that nothing explains', () => {
    const work = workOf({ baseClock: { 's:learning': 9 } });
    const lane = planned([work]);
    for (let revision = 1; revision <= 4; revision += 1) {
      expect(lane.done).toBe(false);
      absorb(lane, conflict(work, revision, { 's:learning': 9 }, {}));
      plan(lane);
    }
    expect(lane.settlements.get(work)).toEqual(postponed('contended'));
  });

  it('are no contention where an earlier answer of the lane explains them', () => {
    const works = [0, 1, 2, 3, 4, 5].map((own) => workOf({ baseClock: { 's:learning': 9, 'd:d1': own } }));
    const lane = planned(works);
    for (let round = 0; round < 5; round += 1) {
      const [made, behind] = works.slice(round) as [Work, Work];
      const clock = { 's:learning': 9, 'd:d1': round + 1 };
      absorb(lane, applied(made, 10 * (round + 1), clock), conflict(behind, 10 * (round + 1), clock, {}));
      plan(lane);
    }
    expect(works.map((work) => lane.settlements.get(work)?.kind)).toEqual([
      ...Array.from({ length: 5 }, () => 'settled'),
      undefined,
    ]);
  });

  it('wait for a head when the owner’s change is concurrent or it keeps no clock', () => {
    const work = workOf();
    const lane = planned([work]);
    absorb(lane, conflict(work, 4, { 's:learning': 4 }, { text: 'secret' }));
    plan(lane);
    expect([lane.need, lane.submissions]).toEqual([{ what: 'head', revision: 4 }, []]);
    lane.learnHead(headOf(4, { 's:learning': 4 }, { text: 'shown', colour: 'red' }));
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ status: 'merged', expectedRevision: 4 });
  });

  it('ask once what was deleted, where a later edit brings it back', () => {
    const deletion = { '': { atMs: Date.parse(NOW_ISO) - 60_000, by: 'd:d2', counter: 1 } };
    const head = headOf(3, { 's:learning': 1, 'd:d2': 1 }, null, deletion);
    const edit = { data: { text: 'new' }, baseClock: { 's:learning': 1 } };
    const bringingBack = (): Lane => planned([workOf(edit)], head);
    const known = bringingBack();
    expect([known.need, known.submissions]).toEqual([{ what: 'deleted', revision: 3 }, []]);
    known.learnDeleted({ text: 'old', colour: 'red' });
    plan(known);
    const change = { op: 'put', data: { text: 'new', colour: 'red' } };
    expect([known.need, known.submissions]).toMatchObject([null, [{ change }]]);
    const forgotten = bringingBack();
    forgotten.learnDeleted(null);
    plan(forgotten);
    absorb(forgotten);
    expect([...forgotten.settlements.values()]).toMatchObject([{ status: 'superseded' }]);
  });

  it('end a mutation whose entity has left its scope, without a word of the entity', () => {
    const work = workOf();
    const lane = planned([work]);
    absorb(lane, conflict(work, 4, { 's:learning': 4 }, { text: 'secret' }));
    plan(lane);
    lane.learnHead(headOf(4, { 's:learning': 4 }, null));
    const settled = lane.settlements.get(work);
    expect(settled).toMatchObject({ status: 'rejected', code: 'forbidden' });
    expect(JSON.stringify(settled)).not.toContain('secret');
  });

  it.each([
    ['was known to be deleted', true, 4],
    ['stood at an earlier revision', false, 5],
  ])('go on with a mutation whose entity is gone, where it %s', (_where, deleted, revision) => {
    const work = workOf();
    const lane = planned([work]);
    absorb(lane, conflict(work, 4, { 's:learning': 4 }, deleted ? null : { text: 'x' }));
    plan(lane);
    expect(lane.need).toEqual({ what: 'head', revision: 4 });
    lane.learnHead(headOf(revision, { 's:learning': revision }, null));
    expect([lane.need, lane.done]).toEqual([null, false]);
  });

  it('wait for a head where the owner keeps no clocks', () => {
    const work = workOf();
    const lane = planned([work]);
    const current = { revision: 4, data: {}, deleted: false };
    absorb(lane, { mutationId: work.mutation.mutationId, status: 'conflict', current });
    plan(lane);
    expect([lane.need, lane.submissions]).toEqual([{ what: 'head', revision: 4 }, []]);
  });

  it('count when the owner was only asked, if it is at another revision', () => {
    const work = workOf({}, { mayBeSent: true });
    const lane = planned([work], headOf(4, { 's:learning': 3, 'd:d1': 1 }, { text: 'x' }));
    absorb(lane, conflict(work, 5, { 's:learning': 4, 'd:d1': 1 }, { text: 'y' }));
    plan(lane);
    lane.learnKnown({ head: null, told: null, counted: 1, restored: false, ownSequence: null });
    plan(lane);
    expect([lane.need, lane.submissions]).toEqual([{ what: 'head', revision: 5 }, []]);
  });

  it('leave something to a person where the type is reviewed', () => {
    const registration = { ...lww, review: 'collisions' } as const;
    const work = workOf({ data: { colour: 'blue' } }, { registration });
    const lane = planned([work], headOf(7, { 's:learning': 5 }, { colour: 'red' }));
    absorb(lane);
    expect(lane.settlements.get(work)).toMatchObject({ conflict: { draft: { decision: 'open' } } });
  });

  it('void an end that stood on a change which was not taken', () => {
    const first = workOf({ baseClock: { 's:learning': 1 } });
    const second = workOf({ data: { colour: 'late' }, baseClock: { 'd:d1': 1 } });
    const head = headOf(1, { 's:learning': 1 }, { text: 'a', colour: 'red' }, COLOURED);
    const lane = planned([first, second], head);
    expect(lane.submissions).toHaveLength(1);
    absorb(lane, conflict(first, 2, { 's:learning': 1, 'd:d9': 1 }, { text: 'b' }));
    expect([lane.done, lane.settlements.size]).toEqual([false, 0]);
  });

  it('postpone from the first that was not answered', () => {
    const works = [workOf(), workOf({ baseClock: { 'd:d1': 1 } }), workOf({ baseClock: { 'd:d1': 2 } })];
    const lane = planned(works);
    absorb(lane, applied(works[0] as Work, 1));
    expect(works.map((work) => lane.settlements.get(work)?.kind)).toEqual([
      'settled',
      'postponed',
      'postponed',
    ]);
    expect(lane.settlements.get(works[1] as Work)).toMatchObject({ mayBeSent: true });
  });
});

describe('a repeated attempt', () => {
  it('that the inbox answers with what it had decided then is merged, shown as the projection will', () => {
    const work = workOf({}, { mayBeSent: true });
    const lane = planned([work]);
    const clock = { 's:learning': 3, 'd:d1': 1 };
    absorb(lane, applied(work, 4, clock));
    expect(lane.settlements.get(work)).toMatchObject({ status: 'merged', clock });
    expect(lane.awaitedCurrents).toMatchObject([{ work, revision: 4 }]);
  });

  it('is sent as it was when the entity contains it already', () => {
    const work = workOf({}, { mayBeSent: true });
    const lane = planned([work], headOf(4, { 's:learning': 3, 'd:d1': 1 }, { text: 'merged' }));
    // Revision 0: an inbox that does not know it says conflict, and does not apply it over what has its dot.
    expect(lane.submissions[0]?.change).toMatchObject({ status: 'applied', expectedRevision: 0 });
  });

  it('whose ledger row is gone is asked for like one that is known to be repeated', () => {
    const head = headOf(4, { 's:learning': 3, 'd:d1': 2 }, { text: 'mine, later' });
    const work = workOf({ op: 'put', baseClock: { 's:learning': 2, 'd:d1': 1 } });
    const lane = planned([work], head);
    expect(lane.submissions[0]?.change).toMatchObject({ status: 'applied', expectedRevision: 0 });
    absorb(lane, applied(work, 3, { 's:learning': 3, 'd:d1': 2 }));
    expect(lane.settlements.get(work)).toMatchObject({
      status: 'merged',
      clock: { 's:learning': 3, 'd:d1': 2 },
    });
  });

  it('that only the inbox remembers is told by a revision that is not new', () => {
    const first = workOf({ baseClock: { 's:learning': 1 } });
    const second = workOf({ baseClock: { 's:learning': 1, 'd:d1': 3 } });
    const lane = planned([first, second], headOf(7, { 's:learning': 1, 'd:d1': 2 }, { text: 'x' }));
    expect(lane.need).toEqual({ what: 'ledger' });
    lane.learnKnown({ head: null, told: null, counted: 2, restored: false, ownSequence: null });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ expectedRevision: 7, clock: { 'd:d1': 3 } });
    const behind = conflict(second, 7, { 's:learning': 1, 'd:d1': 2 }, { text: 'x' });
    absorb(lane, applied(first, 2, { 's:learning': 1, 'd:d1': 1 }), behind);
    expect(lane.settlements.get(first)).toMatchObject({ status: 'applied', clock: { 'd:d1': 1 } });
    plan(lane);
    expect(lane.submissions[0]?.change).toMatchObject({ expectedRevision: 7 });
  });

  it('that only the inbox remembers is not shown again by what is refused behind it', () => {
    const [first, second] = [workOf({ data: { text: 'old' } }), workOf({ baseClock: { 'd:d1': 1 } })];
    const lane = planned([first, second], headOf(7, { 's:learning': 2 }, { text: 'later' }));
    const refused = { mutationId: second.mutation.mutationId, status: 'rejected', code: 'no' } as const;
    absorb(lane, applied(first, 3, { 's:learning': 1, 'd:d1': 1 }), refused);
    const settled = lane.settlements.get(second);
    expect(settled).toMatchObject({ status: 'rejected' });
    expect(settled?.kind === 'settled' && settled.current).toContain('"data":{"text":"later"}');
  });
});

describe('an append whose id is taken, at an owner that says conflict', () => {
  const work = (text: string): Work =>
    workOf({ op: 'append', data: { text, userId: 'u1' } }, { registration: append });

  it('has been applied when it is the same record', () => {
    const same = work('same');
    const lane = planned([same]);
    absorb(lane, conflict(same, 1, { 'd:d2': 1 }, { text: 'same', userId: 'u1', stored: 'x' }));
    expect(lane.settlements.get(same)).toEqual({
      ...{ kind: 'settled', status: 'applied', clock: { 'd:d2': 1 } },
      revision: 1,
    });
  });

  it('is a violation when it is another one, and says nothing of that', () => {
    const other = work('mine');
    const lane = planned([other]);
    absorb(lane, conflict(other, 1, { 'd:d2': 1 }, { text: 'secret' }));
    const settled = lane.settlements.get(other);
    expect(settled).toMatchObject({ status: 'rejected', code: 'append_only_violation' });
    expect(JSON.stringify(settled)).not.toContain('secret');
  });
});

describe('what is only asked for', () => {
  const refuse = { code: 'scope_not_held', message: '/scope' };
  const asked = (): Work => workOf({ op: 'put' }, { mayBeSent: true, refuse });
  const refused = ({ mutation: { mutationId } }: Work): OwnerPushResult => {
    return { mutationId, status: 'rejected', ...refuse };
  };

  it('is not counted on by what follows it, where nobody here knows of the entity', () => {
    const works = [asked(), workOf({ op: 'put', baseClock: { 'd:d1': 1 } })] as const;
    const lane = planned(works);
    expect(lane.submissions.map(({ change }) => change.expectedRevision)).toEqual([0, 0]);
    absorb(lane, refused(works[0]), applied(works[1], 1));
    expect(works.map((work) => lane.settlements.get(work))).toMatchObject([
      { status: 'rejected' },
      { status: 'applied' },
    ]);
  });

  it('is built on by what follows it once its owner says that it has it', () => {
    const works = [asked(), workOf({ op: 'put', baseClock: { 'd:d1': 1 } })] as const;
    const lane = planned(works);
    absorb(lane, applied(works[0], 1, { 'd:d1': 1 }), conflict(works[1], 1, { 'd:d1': 1 }, { text: 'text' }));
    plan(lane);
    expect(lane.submissions.map(({ change }) => change.expectedRevision)).toEqual([1]);
    absorb(lane, applied(works[1], 2));
    expect(works.map((work) => lane.settlements.get(work))).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ]);
  });

  it('is asked for whatever became of what it depends on: it may have been applied', () => {
    const gate = (): Settlement => ({ kind: 'settled', status: 'rejected', code: 'dependency_failed' });
    const lane = new Lane(null, { ...context, gate });
    const work = asked();
    lane.extend([work]);
    plan(lane);
    absorb(lane, applied(work, 1, { 'd:d1': 1 }));
    expect(lane.settlements.get(work)).toMatchObject({ status: 'applied' });
  });

  it.each([null, headOf(1, {}, { text: 'x' })])('waits for an owner that knows what is asked', (head) => {
    const work = asked();
    const lane = planned([work], head);
    absorb(lane, conflict(work, 1, {}, { text: 'x' }));
    plan(lane);
    expect([lane.done, lane.settlements.get(work)]).toEqual([true, postponed('contended', true)]);
  });
});
