import { describe, expect, it } from '@jest/globals';
import type { MutationInput } from '../entity.ts';
import {
  BASE,
  CLOCK,
  DELETED,
  LIVE,
  OTHER,
  RECORD,
  SERVER,
  SUBMIT,
  decideOn,
  from,
  own,
  stateOf,
} from '../testing/missed-write.ts';

describe('clean mutations are submitted as sent', () => {
  const clean = (op: MutationInput['op'], data: MutationInput['data']): MutationInput => ({
    ...from(op, data, 200),
    baseClock: CLOCK,
  });
  const applied = { ...SUBMIT, status: 'applied' };

  it('to an entity that does not exist', () => {
    expect(decideOn(null, from('put', { f: 1 }, 200))).toEqual({
      ...applied,
      op: 'put',
      data: { f: 1 },
      clock: { 'd:a': 1 },
      expectedRevision: 0,
      fieldWrites: { '': own(200), f: own(200) },
    });
  });

  it('as a patch, writing what it names', () => {
    expect(decideOn(LIVE, clean('patch', { f: 1 }))).toEqual({
      ...applied,
      op: 'patch',
      data: { f: 1 },
      fieldWrites: { f: own(200) },
    });
  });

  it('as a put, removing what it leaves out', () => {
    expect(decideOn(LIVE, clean('put', { f: 1 }))).toEqual({
      ...applied,
      op: 'put',
      data: { f: 1 },
      fieldWrites: { '': own(200), f: own(200), g: { ...SERVER, removedBy: own(200) } },
    });
  });

  it('as a delete', () => {
    expect(decideOn(LIVE, clean('delete', null))).toEqual({
      ...applied,
      op: 'delete',
      data: null,
      fieldWrites: { '': own(200) },
    });
  });

  it('with a time that went back behind what was seen moved just after it', () => {
    const early = { ...clean('patch', { f: 1 }), occurredAtMs: 10 };
    expect(decideOn(LIVE, early)).toMatchObject({ kind: 'submit', fieldWrites: { f: own(101) } });
    const deletion = { ...clean('delete', null), occurredAtMs: 10 };
    expect(decideOn(LIVE, deletion)).toMatchObject({ kind: 'submit', fieldWrites: { '': own(101) } });
  });

  it('also when they carry no data', () => {
    expect(decideOn(LIVE, clean('patch', null))).toMatchObject({
      kind: 'submit',
      data: null,
      fieldWrites: {},
    });
  });

  it('to a deleted entity whose deletion was seen', () => {
    expect(decideOn(DELETED, clean('put', { f: 1 }))).toMatchObject({
      kind: 'submit',
      status: 'applied',
      op: 'put',
      data: { f: 1 },
      fieldWrites: { '': own(200) },
    });
  });
});

describe('concurrent patches', () => {
  it('of another field both survive', () => {
    expect(decideOn(LIVE, from('patch', { g: 'new' }, 60))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: { g: 'new' },
      fieldWrites: { g: own(60) },
    });
  });

  it('of the same field at a later time win, and the record keeps the server’s value', () => {
    expect(decideOn(LIVE, from('patch', { f: 'a', g: 'new' }, 101))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: { f: 'a', g: 'new' },
      fieldWrites: { f: own(101), g: own(101) },
      record: {
        ...RECORD,
        ours: LIVE.data,
        theirs: { f: 'a', g: 'new' },
        fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'theirs' }],
      },
    });
  });

  it('of the same field at an earlier time lose that field only', () => {
    expect(decideOn(LIVE, from('patch', { f: 'a', g: 'new' }, 99))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: { g: 'new' },
      fieldWrites: { g: own(99) },
      record: {
        ...RECORD,
        ours: LIVE.data,
        theirs: { f: 'a', g: 'new' },
        fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'ours' }],
      },
    });
  });

  it('that lose every field are superseded', () => {
    expect(decideOn(LIVE, from('patch', { f: 'a' }, 99))).toEqual({
      kind: 'supersede',
      record: {
        ...RECORD,
        ours: LIVE.data,
        theirs: { f: 'a' },
        fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'ours' }],
      },
    });
  });

  it('tie by device id', () => {
    expect(decideOn(LIVE, from('patch', { f: 'a' }, 100))).toMatchObject({ kind: 'supersede' });
    const later = { ...from('patch', { f: 'c' }, 100), deviceId: 'c' };
    expect(decideOn(LIVE, later)).toMatchObject({ kind: 'submit', data: { f: 'c' } });
  });

  it('with the same value do not collide; the later write counts from then on', () => {
    const same = { ...SUBMIT, op: 'patch', data: { f: 'b' } };
    expect(decideOn(LIVE, from('patch', { f: 'b' }, 99))).toEqual({ ...same, fieldWrites: { f: OTHER } });
    expect(decideOn(LIVE, from('patch', { f: 'b' }, 101))).toEqual({ ...same, fieldWrites: { f: own(101) } });
  });

  it('over a value of unknown origin win, and the record keeps that value', () => {
    const unknown = stateOf({ fieldWrites: {} });
    expect(decideOn(unknown, from('patch', { f: 'a', h: 1 }, 1))).toMatchObject({
      kind: 'submit',
      data: { f: 'a', h: 1 },
      record: { fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'theirs' }] },
    });
  });

  it('that meet their own effect again, which the owner normalised, do not collide', () => {
    const normalised = stateOf({
      data: { f: 'A' },
      fieldWrites: { f: own(60) },
      clock: { ...BASE, 'd:a': 1 },
    });
    expect(decideOn(normalised, from('patch', { f: 'a ' }, 60))).toMatchObject({
      kind: 'submit',
      record: null,
    });
  });

  it('that change nothing are submitted: their dot belongs into the clock', () => {
    expect(decideOn(LIVE, from('patch', {}, 60))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: {},
      fieldWrites: {},
    });
    expect(decideOn(LIVE, from('patch', null, 60))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: {},
      fieldWrites: {},
    });
  });

  it('treat a field named __proto__ as a field', () => {
    const data = JSON.parse('{"__proto__":{"polluted":1}}') as Record<string, { polluted: number }>;
    const decision = decideOn(LIVE, from('patch', data, 200));
    expect(decision).toMatchObject({ kind: 'submit', record: null });
    expect(Object.getOwnPropertyNames(decision.kind === 'submit' && decision.data)).toEqual(['__proto__']);
  });
});

describe('a field that somebody removed', () => {
  const removed = stateOf({
    data: { g: 'old' },
    fieldWrites: { '': SERVER, g: SERVER, f: { ...SERVER, removedBy: OTHER } },
  });

  it('comes back by a write that had seen the value, whatever the times', () => {
    expect(decideOn(removed, from('patch', { f: 'a' }, 60))).toEqual({
      ...SUBMIT,
      op: 'patch',
      data: { f: 'a' },
      fieldWrites: { f: own(60) },
    });
  });

  it('competes with its removed value when neither was seen', () => {
    const unseen = { ...removed, fieldWrites: { f: { ...OTHER, removedBy: { ...OTHER, by: 'd:c' } } } };
    expect(decideOn(unseen, from('patch', { f: 'a' }, 99))).toMatchObject({
      kind: 'supersede',
      record: { fields: [{ field: 'f', theirs: 'a', winner: 'ours' }] },
    });
    expect(decideOn(unseen, from('patch', { f: 'a' }, 101))).toMatchObject({
      kind: 'submit',
      data: { f: 'a' },
    });
  });

  it('stays removed when the mutation whose value it was comes again', () => {
    const replayed = { ...removed, fieldWrites: { f: { ...own(60), removedBy: OTHER } } };
    expect(decideOn(replayed, from('patch', { f: 'a' }, 60))).toMatchObject({ kind: 'supersede' });
  });
});

describe('a field that somebody removed by writing it', () => {
  const removed = stateOf({
    data: { g: 'old' },
    fieldWrites: { '': SERVER, g: SERVER, f: { ...OTHER, removedBy: OTHER } },
  });

  it('comes back by a later write alone, whoever had seen its value', () => {
    expect(decideOn(removed, from('patch', { f: 'a' }, 99))).toMatchObject({
      kind: 'supersede',
      record: { fields: [{ field: 'f', theirs: 'a', winner: 'ours' }] },
    });
    expect(decideOn(removed, from('patch', { f: 'a' }, 101))).toMatchObject({
      kind: 'submit',
      data: { f: 'a' },
    });
  });

  it.each([
    [99, OTHER.atMs],
    [101, 101],
  ])('is removed again without a conflict, and the later removal counts: at %i', (atMs, counts) => {
    const decision = decideOn(removed, from('patch', { f: null }, atMs));
    expect(decision).toMatchObject({ kind: 'submit', record: null, data: { f: null } });
    expect(decision).toMatchObject({ fieldWrites: { f: { atMs: counts } } });
  });

  it('meets its own removal again as what it is', () => {
    const replayed = { ...removed, fieldWrites: { f: { ...own(60), removedBy: own(60) } } };
    const decision = decideOn(replayed, from('patch', { f: 'kept by nobody' }, 60));
    expect(decision).toMatchObject({ kind: 'submit', record: null });
  });

  it('is not taken for what somebody left out', () => {
    const left = { ...removed, fieldWrites: { f: { ...OTHER, removedBy: { ...OTHER, by: 'd:c' } } } };
    expect(decideOn(left, from('patch', { f: null }, 101))).toMatchObject({
      record: { fields: [{ field: 'f', theirs: null, winner: 'theirs' }] },
    });
  });
});

describe('concurrent puts', () => {
  it('keep fields they never saw and remove those they saw', () => {
    const state = stateOf({ data: { f: 'b', g: 'old', n: 1 }, fieldWrites: { f: OTHER, g: SERVER } });
    expect(decideOn(state, from('put', { h: 'new' }, 60))).toEqual({
      ...SUBMIT,
      op: 'put',
      data: { f: 'b', n: 1, h: 'new' },
      fieldWrites: { h: own(60), g: { ...SERVER, removedBy: own(60) }, '': own(60) },
    });
  });

  it('submit the whole merged entity', () => {
    expect(decideOn(LIVE, from('put', { f: 'a', g: 'new' }, 99))).toMatchObject({
      kind: 'submit',
      op: 'put',
      data: { f: 'b', g: 'new' },
      fieldWrites: { '': own(99), g: own(99) },
      record: {
        theirs: { f: 'a', g: 'new' },
        fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'ours' }],
      },
    });
  });

  it('that lose every field but remove one are submitted', () => {
    const decision = decideOn(LIVE, from('put', { f: 'a' }, 99));
    expect(decision).toMatchObject({ kind: 'submit', data: { f: 'b' } });
    expect(decision.kind === 'submit' && Object.keys(decision.data ?? {})).toEqual(['f']);
  });

  it('that lose every field and remove none are superseded', () => {
    const state = stateOf({ data: { f: 'b' }, fieldWrites: { f: OTHER } });
    expect(decideOn(state, from('put', { f: 'a' }, 99))).toMatchObject({ kind: 'supersede' });
  });
});
