import { describe, expect, it } from '@jest/globals';
import type { EntityState, FieldWrite, MutationInput } from '../entity.ts';
import {
  BASE,
  CLOCK,
  DELETED,
  LIVE,
  OTHER,
  RECORD,
  REMADE,
  SERVER,
  SUBMIT,
  decideOn,
  from,
  own,
  stateOf,
} from '../testing/missed-write.ts';

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
      fieldWrites: { '': { ...own(101), deletion: null }, f: own(101) },
      record: {
        ...RECORD,
        ...{ base: { f: 'x', g: 'old' }, baseUnknown: [] },
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

  it('an earlier edit is superseded, and recorded without what was deleted', () => {
    expect(decideOn(DELETED, from('patch', { f: 'a', g: 2 }, 99))).toEqual({
      kind: 'supersede',
      record: {
        ...RECORD,
        ...{ base: null, baseUnknown: [''] },
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

describe('an entity that was deleted and made anew, both unseen', () => {
  it('takes no value from before the deletion, whatever the device had seen of it', () => {
    const seen = { ...from('patch', { f: 'a', x: 1 }, 99), baseClock: BASE };
    expect(decideOn(REMADE, seen)).toEqual({
      kind: 'supersede',
      record: {
        ...RECORD,
        ...{ base: {}, baseUnknown: ['h', 'f', 'x'] },
        clockOurs: REMADE.clock,
        ours: { h: 'new' },
        theirs: { f: 'a', x: 1 },
        fields: [
          { field: 'f', theirs: 'a', winner: 'ours' },
          { field: 'x', theirs: 1, winner: 'ours' },
        ],
      },
    });
  });

  it('takes later ones, field by field', () => {
    expect(decideOn(REMADE, from('patch', { f: 'a', h: 'a' }, 110))).toMatchObject({
      kind: 'submit',
      op: 'patch',
      data: { f: 'a' },
      fieldWrites: { f: own(110) },
      record: {
        fields: [
          { field: 'f', theirs: 'a', winner: 'theirs' },
          { field: 'h', ours: 'new', theirs: 'a', winner: 'ours' },
        ],
      },
    });
  });

  it('takes those of a device that saw the deletion, as late as it', () => {
    const knowing = { ...from('put', { f: 'a' }, 10), baseClock: CLOCK };
    expect(decideOn(REMADE, knowing)).toMatchObject({
      kind: 'submit',
      data: { f: 'a', h: 'new' },
      record: null,
      fieldWrites: { f: own(101) },
    });
  });
});

describe('on an entity that two devices deleted', () => {
  const BEFORE = { ...SERVER, atMs: 10 };
  /** By b at 100 and by z at 80, or the other way round. */
  const twice = (deletion: FieldWrite, other: FieldWrite): EntityState => ({
    ...DELETED,
    clock: { 's:svc': 1, 'd:b': 1, 'd:z': 1 },
    fieldWrites: {
      '': { ...deletion, removedBy: other, deletion: BEFORE },
      f: SERVER,
      g: { ...own(90), by: 'd:x' },
    },
  });
  const Z: FieldWrite = { atMs: 80, by: 'd:z', counter: 1 };
  const put = (atMs: number): MutationInput => ({
    ...from('put', { h: 'a' }, atMs),
    baseClock: { 'd:z': 1, ...BASE },
  });

  it('whoever saw only the earlier and is later than both makes it anew behind that one', () => {
    expect(decideOn(twice(OTHER, Z), put(101))).toMatchObject({
      kind: 'submit',
      op: 'put',
      // What was written between the two comes back with it: only the later deletion took it.
      data: { g: 'old', h: 'a' },
      fieldWrites: { '': { ...own(101), deletion: Z } },
      record: { fields: [{ field: '', winner: 'theirs' }] },
    });
  });

  it('whoever saw only the earlier and is not later than both is superseded', () => {
    expect(decideOn(twice(OTHER, Z), put(99))).toMatchObject({ kind: 'supersede' });
  });

  it('whoever saw the one that counts makes it anew, and whoever saw none brings it back as it was', () => {
    const late: FieldWrite = { ...Z, atMs: 180 };
    expect(decideOn(twice(late, OTHER), put(90))).toMatchObject({
      kind: 'submit',
      status: 'merged',
      record: null,
      data: { h: 'a' },
    });
    expect(decideOn(twice(OTHER, Z), from('patch', { h: 'a' }, 101))).toMatchObject({
      data: { f: 'x', g: 'old', h: 'a' },
      fieldWrites: { '': { ...own(101), deletion: BEFORE } },
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
    for (const atMs of [99, 101]) {
      expect(held(DELETED, from('patch', { f: 'a' }, atMs))).toMatchObject({
        kind: 'hold',
        record: {
          ...{ decision: 'open', base: null, ours: null, theirs: { f: 'a' } },
          fields: [
            { field: '', winner: 'open' },
            { field: 'f', theirs: 'a', winner: 'open' },
          ],
        },
      });
    }
  });

  it('lets pass what does not collide', () => {
    expect(held(LIVE, from('patch', { g: 'new' }, 60))).toMatchObject({ kind: 'submit', record: null });
    expect(held(DELETED, from('delete', null, 60))).toMatchObject({ kind: 'submit', record: null });
    const seen = stateOf({ fieldWrites: { '': SERVER, f: SERVER, g: SERVER } });
    expect(held(seen, from('delete', null, 99))).toMatchObject({ kind: 'submit', record: null });
  });
});
