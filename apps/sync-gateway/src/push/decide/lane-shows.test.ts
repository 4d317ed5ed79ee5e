import { describe, expect, it } from '@jest/globals';
import type { DocumentOverlaps, OwnerPushResult, RegisteredEntityType, RemoteDelta } from '@sync/protocol';
import type { Settlement, Work } from '../outcome/settlement.ts';
import {
  absorb,
  applied,
  COLOURED,
  headOf,
  lww,
  plan,
  planned,
  unanswered,
  workOf,
} from '../testing/lane-rig.ts';
import type { Lane } from './lane.ts';

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
