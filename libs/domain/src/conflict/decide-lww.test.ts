import { describe, expect, it } from '@jest/globals';
import type { EntityState, FieldWrites, MutationInput, Write } from '../entity.ts';
import { mutationOf } from '../testing/server-model.ts';
import { decide } from './decide.ts';
import type { Decision, ReviewMode } from './decision.ts';

const SERVER = { atMs: 50, by: 's:svc', counter: 1 };
/** Device b's write at 100, which device a has not seen unless its base says so. */
const OTHER = { atMs: 100, by: 'd:b', counter: 1 };
const BASE = { 's:svc': 1 };
const CLOCK = { 's:svc': 1, 'd:b': 1 };

function stateOf(fields: Partial<EntityState> & { fieldWrites: FieldWrites }): EntityState {
  return {
    revision: 7,
    clock: CLOCK,
    data: { f: 'b', g: 'old' },
    deleted: false,
    deletedData: null,
    ...fields,
  };
}

/** `f` was written by device b, `g` by the service before. */
const LIVE = stateOf({ fieldWrites: { '': SERVER, f: OTHER, g: SERVER } });
const DELETED = stateOf({
  data: null,
  deleted: true,
  deletedData: { f: 'x', g: 'old' },
  fieldWrites: { '': OTHER, f: SERVER, g: SERVER },
});

/** Device a's first mutation; it has seen the service's change only. */
const from = (op: MutationInput['op'], data: MutationInput['data'], atMs: number): MutationInput =>
  mutationOf({ mutationId: 'm1', deviceId: 'a', op, data, baseClock: BASE, occurredAtMs: atMs });
const own = (atMs: number): Write => ({ atMs, by: 'd:a', counter: 1 });

function decideOn(
  current: EntityState | null,
  mutation: MutationInput,
  review: ReviewMode = 'none',
): Decision {
  return decide({ mutation, current, policy: 'lww', review, serverNowMs: 1_000 });
}

const AFTER = { 's:svc': 1, 'd:b': 1, 'd:a': 1 };
const RECORD = {
  policy: 'lww',
  entityType: 'thing',
  entityId: 'e1',
  mutationId: 'm1',
  base: null,
  theirsUpdate: null,
  decision: 'auto',
  clockOurs: CLOCK,
  clockTheirs: { 's:svc': 1, 'd:a': 1 },
};
const SUBMIT = {
  kind: 'submit',
  update: null,
  clock: AFTER,
  expectedRevision: 7,
  status: 'merged',
  record: null,
};

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
      clock: { 's:svc': 1, 'd:a': 1 },
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

describe('a concurrent delete', () => {
  it('loses to a later edit', () => {
    expect(decideOn(LIVE, from('delete', null, 99))).toEqual({
      kind: 'supersede',
      record: {
        ...RECORD,
        ours: LIVE.data,
        theirs: null,
        fields: [
          { field: '', winner: 'ours' },
          { field: 'f', ours: 'b', winner: 'ours' },
        ],
      },
    });
  });

  it('wins over an earlier edit, and the record keeps what it took', () => {
    expect(decideOn(LIVE, from('delete', null, 101))).toEqual({
      ...SUBMIT,
      op: 'delete',
      data: null,
      fieldWrites: { '': own(101) },
      record: {
        ...RECORD,
        ours: LIVE.data,
        theirs: null,
        fields: [
          { field: '', winner: 'theirs' },
          { field: 'f', ours: 'b', winner: 'theirs' },
        ],
      },
    });
  });

  it('ties by device id', () => {
    expect(decideOn(LIVE, from('delete', null, 100))).toMatchObject({ kind: 'supersede' });
    const later = { ...from('delete', null, 100), deviceId: 'c' };
    expect(decideOn(LIVE, later)).toMatchObject({ kind: 'submit', op: 'delete' });
  });

  it('loses to a later unseen removal or creation', () => {
    const removal = stateOf({ fieldWrites: { f: { ...SERVER, atMs: 40, counter: 2, removedBy: OTHER } } });
    expect(decideOn(removal, from('delete', null, 99))).toMatchObject({ kind: 'supersede' });
    const creation = stateOf({ data: {}, fieldWrites: { '': OTHER } });
    expect(decideOn(creation, from('delete', null, 99))).toMatchObject({
      kind: 'supersede',
      record: { fields: [{ field: '', winner: 'ours' }] },
    });
  });

  it('needs no record when every write was seen', () => {
    const seen = stateOf({ fieldWrites: { '': SERVER, f: SERVER, g: SERVER } });
    expect(decideOn(seen, from('delete', null, 99))).toEqual({
      ...SUBMIT,
      op: 'delete',
      data: null,
      fieldWrites: { '': own(99) },
    });
  });

  it('wins over values of unknown origin and records them', () => {
    const unknown = stateOf({ data: { f: 'b' }, fieldWrites: {} });
    expect(decideOn(unknown, from('delete', null, 1))).toMatchObject({
      kind: 'submit',
      record: {
        fields: [
          { field: '', winner: 'theirs' },
          { field: 'f', ours: 'b', winner: 'theirs' },
        ],
      },
    });
  });
});

describe('on a deleted entity', () => {
  it('a later patch brings it back whole', () => {
    expect(decideOn(DELETED, from('patch', { f: 'a' }, 101))).toEqual({
      ...SUBMIT,
      op: 'put',
      data: { f: 'a', g: 'old' },
      fieldWrites: { '': own(101), f: own(101) },
      record: {
        ...RECORD,
        ours: null,
        theirs: { f: 'a' },
        fields: [{ field: '', winner: 'theirs' }],
      },
    });
  });

  it('a later put brings back what it names', () => {
    expect(decideOn(DELETED, from('put', { f: 'a' }, 101))).toMatchObject({
      kind: 'submit',
      op: 'put',
      data: { f: 'a' },
      fieldWrites: { '': own(101), f: own(101), g: { ...SERVER, removedBy: own(101) } },
    });
  });

  it('an earlier edit is superseded and recorded', () => {
    expect(decideOn(DELETED, from('patch', { f: 'a', g: 2 }, 99))).toEqual({
      kind: 'supersede',
      record: {
        ...RECORD,
        ours: null,
        theirs: { f: 'a', g: 2 },
        fields: [
          { field: '', winner: 'ours' },
          { field: 'f', theirs: 'a', winner: 'ours' },
          { field: 'g', theirs: 2, winner: 'ours' },
        ],
      },
    });
    expect(decideOn(DELETED, from('put', { f: 'a' }, 99))).toMatchObject({ kind: 'supersede' });
  });

  it('a tie goes by device id', () => {
    expect(decideOn(DELETED, from('patch', { f: 'a' }, 100))).toMatchObject({ kind: 'supersede' });
    const later = { ...from('patch', { f: 'c' }, 100), deviceId: 'c' };
    expect(decideOn(DELETED, later)).toMatchObject({ kind: 'submit' });
  });

  it('a patch is superseded when the deleted data is gone, a put is not', () => {
    const purged = { ...DELETED, deletedData: null };
    expect(decideOn(purged, from('patch', { f: 'a' }, 101))).toMatchObject({ kind: 'supersede' });
    expect(decideOn(purged, from('put', { f: 'a' }, 101))).toMatchObject({
      kind: 'submit',
      data: { f: 'a' },
    });
  });

  it('a patch that names nothing brings nothing back, a put without fields does', () => {
    expect(decideOn(DELETED, from('patch', {}, 101))).toMatchObject({ kind: 'supersede' });
    expect(decideOn(DELETED, from('patch', null, 101))).toMatchObject({ kind: 'supersede' });
    expect(decideOn(DELETED, from('put', {}, 101))).toMatchObject({ kind: 'submit', data: {} });
  });

  it('a second delete goes to the owner; the later of the two counts', () => {
    const submitted = { ...SUBMIT, op: 'delete', data: null };
    expect(decideOn(DELETED, from('delete', null, 99))).toEqual({ ...submitted, fieldWrites: { '': OTHER } });
    expect(decideOn(DELETED, from('delete', null, 101))).toEqual({
      ...submitted,
      fieldWrites: { '': own(101) },
    });
  });

  it('a mutation that had seen the deletion is submitted as sent', () => {
    const moved = { ...DELETED, clock: { ...CLOCK, 'd:z': 1 } };
    const knowing = { ...from('put', { f: 'a' }, 10), baseClock: CLOCK };
    expect(decideOn(moved, knowing)).toMatchObject({
      kind: 'submit',
      op: 'put',
      data: { f: 'a' },
      status: 'merged',
    });
  });

  it('a deletion of unknown time loses', () => {
    const unknown = { ...DELETED, fieldWrites: {} };
    expect(decideOn(unknown, from('patch', { h: 1 }, 1))).toMatchObject({
      kind: 'submit',
      data: { f: 'x', g: 'old', h: 1 },
      fieldWrites: { '': own(1) },
    });
  });

  it('a returning patch still loses the fields in which it is beaten', () => {
    const contested = { ...DELETED, fieldWrites: { '': OTHER, f: { ...OTHER, atMs: 300 }, g: SERVER } };
    expect(decideOn(contested, from('patch', { f: 'a', g: 'a' }, 200))).toMatchObject({
      kind: 'submit',
      data: { f: 'x', g: 'a' },
      record: {
        fields: [
          { field: '', winner: 'theirs' },
          { field: 'f', ours: 'x', theirs: 'a', winner: 'ours' },
        ],
      },
    });
  });
});

describe('review of collisions', () => {
  const held = (current: EntityState, mutation: MutationInput): unknown =>
    decideOn(current, mutation, 'collisions');

  it('holds a collision for a person, whoever would have won', () => {
    for (const atMs of [99, 101]) {
      expect(held(LIVE, from('patch', { f: 'a', g: 'new' }, atMs))).toEqual({
        kind: 'hold',
        record: {
          ...RECORD,
          decision: 'open',
          ours: LIVE.data,
          theirs: { f: 'a', g: 'new' },
          fields: [{ field: 'f', ours: 'b', theirs: 'a', winner: 'open' }],
        },
      });
    }
  });

  it('holds a delete against an unseen edit, and an edit against an unseen delete', () => {
    expect(held(LIVE, from('delete', null, 101))).toMatchObject({
      kind: 'hold',
      record: {
        decision: 'open',
        fields: [
          { field: '', winner: 'open' },
          { field: 'f', ours: 'b', winner: 'open' },
        ],
      },
    });
    expect(held(DELETED, from('patch', { f: 'a' }, 101))).toMatchObject({
      kind: 'hold',
      record: { decision: 'open', fields: [{ field: '', winner: 'open' }] },
    });
  });

  it('lets pass what does not collide', () => {
    expect(held(LIVE, from('patch', { g: 'new' }, 60))).toMatchObject({ kind: 'submit', record: null });
    expect(held(DELETED, from('delete', null, 60))).toMatchObject({ kind: 'submit', record: null });
    const seen = stateOf({ fieldWrites: { '': SERVER, f: SERVER, g: SERVER } });
    expect(held(seen, from('delete', null, 99))).toMatchObject({ kind: 'submit', record: null });
  });
});
