import { describe, expect, it } from '@jest/globals';
import type { DocumentOverlaps, OwnerPushResult, RegisteredEntityType, RemoteDelta } from '@sync/protocol';
import { postponed, type Settlement, type Work } from '../outcome/settlement.ts';
import {
  absorb,
  append,
  applied,
  COLOURED,
  conflict,
  headOf,
  lww,
  NOW_ISO,
  plan,
  planned,
  unanswered,
  workOf,
} from '../testing/lane-rig.ts';
import type { Lane } from './lane.ts';

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
    lane.extend([workOf()]);
    expect(lane.done).toBe(true);
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
    const work = workOf({ baseClock: { 's:learning': 99 } });
    const lane = planned([work]);
    for (let revision = 1; revision <= 4; revision += 1) {
      expect(lane.done).toBe(false);
      absorb(lane, conflict(work, revision, { 's:learning': revision }, {}));
      plan(lane);
    }
    expect(lane.settlements.get(work)).toEqual(postponed('contended'));
  });

  it('are no contention where an earlier answer of the lane explains them', () => {
    const works = [0, 1, 2, 3, 4, 5].map((own) => workOf({ baseClock: { 's:learning': 99, 'd:d1': own } }));
    const lane = planned(works);
    for (let round = 0; round < 5; round += 1) {
      const [made, behind] = works.slice(round) as [Work, Work];
      const clock = { 's:learning': round + 1, 'd:d1': round + 1 };
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

describe('current', () => {
  it('of a merge is the registered view of what it came to', () => {
    const work = workOf({ data: { text: 'mine', hidden: 1 }, baseClock: {} });
    const lane = planned([work], headOf(2, { 's:learning': 2 }, { colour: 'red' }));
    absorb(lane, applied(work, 3));
    const settled = lane.settlements.get(work);
    expect(settled).toMatchObject({ status: 'merged', clock: { 's:learning': 2, 'd:d1': 1 } });
    const current = settled?.kind === 'settled' ? (JSON.parse(settled.current ?? '{}') as RemoteDelta) : null;
    expect(current?.data).toEqual({ colour: 'red', text: 'mine' });
  });

  const currentOf = (lane: Lane, work: Work): RemoteDelta | null => {
    const settled = lane.settlements.get(work);
    return settled?.kind === 'settled' ? (JSON.parse(settled.current ?? 'null') as RemoteDelta | null) : null;
  };

  it('has the clock that its owner counted: two contents never stand under one', () => {
    const [first, second] = [workOf({ data: { text: 'a' } }), workOf({ data: { text: 'b' } })];
    const lane = planned([first, second], headOf(2, { 's:learning': 2 }, { colour: 'red' }));
    absorb(
      lane,
      applied(first, 3, { 's:learning': 2, 'd:d1': 1 }),
      applied(second, 4, { 's:learning': 3, 'd:d1': 1 }),
    );
    expect(lane.settlements.get(second)).toMatchObject({ clock: { 's:learning': 3, 'd:d1': 1 } });
    expect(currentOf(lane, first)?.clock).toEqual({ 's:learning': 2, 'd:d1': 1 });
    expect(currentOf(lane, second)).toMatchObject({
      clock: { 's:learning': 3, 'd:d1': 1 },
      data: { text: 'b' },
    });
  });

  it('is shown under the counted clock by what ends on top of it, too', () => {
    const [first, second, late, refused] = [
      workOf({ data: { text: 'a' } }),
      workOf({ data: { text: 'b' } }),
      workOf({ data: { colour: 'late' } }),
      workOf({ data: { text: 'refused' } }),
    ];
    const head = headOf(2, { 's:learning': 2 }, { colour: 'red' }, COLOURED);
    const lane = planned([first, second, late, refused], head);
    const counted = { 's:learning': 3, 'd:d1': 1 };
    absorb(lane, applied(first, 3, { 's:learning': 2, 'd:d1': 1 }), applied(second, 4, counted), {
      mutationId: refused.mutation.mutationId,
      status: 'rejected',
      code: 'no',
      message: '',
    });
    plan(lane);
    absorb(lane);
    expect(lane.settlements.get(late)).toMatchObject({ status: 'superseded' });
    expect(currentOf(lane, late)).toMatchObject({ clock: counted, data: { text: 'b' } });
    expect(currentOf(lane, refused)).toMatchObject({ clock: counted, data: { text: 'b' } });
  });
});

describe('a merge of documents', () => {
  const page: RegisteredEntityType = {
    ...lww,
    policy: 'crdt_yjs',
    review: 'collisions',
    projection: { kind: 'declarative', fields: ['title'], scopes: ['user:{userId}'], docUpdateField: 'body' },
  };
  const block = { path: 'body', line: 3, key: null };
  const dose = {
    block,
    kind: 'same_number',
    base: '5 mg',
    ours: '10 mg',
    theirs: '20 mg',
    merged: '1020 mg',
  } as const;
  const report = (grade: 'none' | 'minor' | 'severe'): DocumentOverlaps => ({
    grade,
    compared: true,
    overlaps: grade === 'none' ? [] : [{ ...dose, grade }],
    omitted: 0,
  });
  const merged = (overlaps: DocumentOverlaps, registration = page): Settlement | undefined => {
    const work = workOf({ op: 'merge', data: null, update: 'AAA=' }, { registration });
    const lane = planned([work], headOf(4, { 'd:d2': 1 }, { title: 'x' }));
    lane.absorb(
      new Map([[work.mutation.mutationId, { ...applied(work, 5), overlaps } as OwnerPushResult]]),
      unanswered,
    );
    return lane.settlements.get(work);
  };

  it('applies all the same and opens a record of severe overlaps where a person is to look', () => {
    expect(merged(report('severe'))).toMatchObject({
      status: 'merged',
      conflict: {
        draft: {
          decision: 'open',
          op: 'merge',
          theirsUpdate: 'AAA=',
          base: { 'body:3': '5 mg' },
          fields: [{ field: 'body:3', ours: '10 mg', theirs: '20 mg', winner: 'open' }],
          clockOurs: { 'd:d2': 1 },
        },
      },
    });
  });

  it('records minor overlaps, and severe ones that nobody asked to review, as resolved', () => {
    const auto = { conflict: { draft: { decision: 'auto', fields: [{ winner: 'merged' }] } } };
    expect(merged(report('minor'))).toMatchObject(auto);
    expect(merged(report('severe'), { ...page, review: 'none' })).toMatchObject(auto);
    expect(merged(report('none'))).not.toHaveProperty('conflict');
  });

  it('is kept whatever its owner refuses it with, and so is what was written after it', () => {
    const codes = ['content_not_allowed', 'update_incomplete', 'document_too_large', 'client_id_foreign'];
    for (const code of codes) {
      const work = workOf({ op: 'merge', data: null, update: 'AAE=', baseClock: {} }, { registration: page });
      const lane = planned([work]);
      absorb(lane, { mutationId: work.mutation.mutationId, status: 'rejected', code });
      const draft = { decision: 'auto', op: 'merge', theirsUpdate: 'AAE=' };
      expect(lane.settlements.get(work)).toMatchObject({ code, conflict: { draft } });
    }
  });

  it('takes what could not be compared for severe', () => {
    const unknown = { grade: 'severe', compared: false, overlaps: [], omitted: 0 } as const;
    const open = { conflict: { draft: { decision: 'open', fields: [{ field: '', winner: 'open' }] } } };
    expect(merged({ ...unknown, overlaps: [] })).toMatchObject(open);
  });
});
