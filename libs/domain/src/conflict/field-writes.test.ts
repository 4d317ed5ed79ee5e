import { describe, expect, it } from '@jest/globals';
import type { FieldWrite, FieldWrites, Write } from '../entity.ts';
import type { JsonObject } from '../json.ts';
import {
  compareWrites,
  hasSeen,
  lastWriteOf,
  laterWrite,
  namedWrites,
  readFieldWrite,
  recordFieldWrites,
  removalOf,
  repeatingWrites,
  writeIn,
  writeOver,
  writeOverAll,
} from './field-writes.ts';
import type { Seer } from './field-writes.ts';

const write = (by: string, atMs: number, counter = 1): Write => ({ atMs, by, counter });

describe('compareWrites', () => {
  it('orders by time, then by replica in code point order, then by counter', () => {
    const sorted = [
      write('d:z', 1, 9),
      write('d:a', 2, 1),
      write('d:a', 2, 2),
      write('d:b', 2, 1),
      write('d:\uffff', 2),
      write('d:\u{1f600}', 2),
      write('d:a', 3),
    ];
    expect(sorted.toReversed().sort(compareWrites)).toEqual(sorted);
    expect(compareWrites(write('d:a', 1, 2), write('d:a', 1, 2))).toBe(0);
  });
});

describe('readFieldWrite', () => {
  it('finds own entries only', () => {
    expect(readFieldWrite({}, 'constructor')).toBeUndefined();
    expect(readFieldWrite({ f: write('d:a', 1) }, 'f')).toEqual(write('d:a', 1));
  });
});

describe('lastWriteOf', () => {
  it('is the deletion that the entity came back from where a field has no entry', () => {
    const [a, b] = [write('d:a', 1), write('d:b', 9)];
    const writes = { '': { ...write('d:c', 10), deletion: b }, f: a };
    expect(lastWriteOf(writes, 'f')).toEqual(a);
    expect(lastWriteOf(writes, 'g')).toEqual(b);
    expect(lastWriteOf({ '': b }, 'g')).toBeUndefined();
    expect(lastWriteOf({ '': { ...b, deletion: null } }, 'g')).toBeUndefined();
  });
});

describe('hasSeen', () => {
  const removed: FieldWrite = { ...write('d:a', 1, 2), removedBy: write('d:b', 2, 3) };
  const by = (baseClock: Record<string, number>, deviceId = 'x'): Seer => ({ deviceId, baseClock });

  it('is true for whoever saw the value or its removal', () => {
    expect(hasSeen(by({ 'd:a': 2 }), write('d:a', 1, 2))).toBe(true);
    expect(hasSeen(by({ 'd:a': 2 }), removed)).toBe(true);
    expect(hasSeen(by({ 'd:b': 3 }), removed)).toBe(true);
  });

  it('is false for who saw earlier changes of the same replicas', () => {
    expect(hasSeen(by({ 'd:a': 1 }), write('d:a', 1, 2))).toBe(false);
    expect(hasSeen(by({ 'd:a': 1, 'd:b': 2 }), removed)).toBe(false);
  });

  it('is false for who claims to have seen it by an entry from before a fold, but for its own device', () => {
    const folded = { ...write('d:a', 1, 2), folds: 5 };
    expect(hasSeen(by({ 'd:a': 2 }), folded)).toBe(false);
    expect(hasSeen(by({ 'd:a': 2 }, 'a'), folded)).toBe(true);
    expect(hasSeen(by({ 's:folded': 5 }), folded)).toBe(true);
    expect(hasSeen(by({ 'd:b': 3 }), { ...removed, removedBy: { ...write('d:b', 2, 3), folds: 5 } })).toBe(
      false,
    );
  });
});

describe('writeIn', () => {
  it('notes what the clock says of folded devices, for writes of devices', () => {
    const clock = { 'd:a': 2, 's:x': 1, 's:folded': 5 };
    expect(writeIn(clock, write('d:a', 1, 2))).toEqual({ ...write('d:a', 1, 2), folds: 5 });
    expect(writeIn(clock, write('s:x', 1))).toEqual(write('s:x', 1));
    expect(writeIn({ 'd:a': 2 }, { ...write('d:a', 1, 2), folds: 3 })).toEqual(write('d:a', 1, 2));
  });
});

describe('writeOver', () => {
  it('keeps a write that is later anyway', () => {
    expect(writeOver(undefined, write('d:a', 5))).toEqual(write('d:a', 5));
    expect(writeOver(write('d:b', 4), write('d:a', 5))).toEqual(write('d:a', 5));
    expect(writeOver(write('d:a', 5), write('d:b', 5))).toEqual(write('d:b', 5));
    expect(writeOver(write('d:a', 5), write('d:a', 5))).toEqual(write('d:a', 5));
  });

  it('moves a write just behind the later one that it overwrites', () => {
    expect(writeOver(write('d:b', 9), write('d:a', 5))).toEqual(write('d:a', 10));
    expect(writeOver(write('d:b', 5), write('d:a', 5))).toEqual(write('d:a', 6));
  });

  it('forgets a removal: the value is there again', () => {
    const removed: FieldWrite = { ...write('d:a', 1), removedBy: write('d:b', 2) };
    expect(writeOver(removed, { ...write('d:c', 3), ...{ removedBy: write('d:c', 3) } })).toEqual(
      write('d:c', 3),
    );
  });
});

describe('writeOverAll', () => {
  it('is later than every write and every removal', () => {
    const removed: FieldWrite = { ...write('d:a', 1), removedBy: write('d:b', 30) };
    expect(writeOverAll({}, write('d:x', 5))).toEqual(write('d:x', 5));
    expect(writeOverAll({ f: write('d:a', 4) }, write('d:x', 5))).toEqual(write('d:x', 5));
    expect(writeOverAll({ f: write('d:a', 20), g: write('d:b', 10) }, write('d:x', 5))).toEqual(
      write('d:x', 21),
    );
    expect(writeOverAll({ g: write('d:b', 10), f: removed }, write('d:x', 5))).toEqual(write('d:x', 31));
    expect(writeOverAll({ f: { ...write('d:a', 40), removedBy: write('d:b', 2) } }, write('d:x', 5))).toEqual(
      write('d:x', 41),
    );
  });
});

describe('laterWrite', () => {
  it('is the greater of two, the present one when they are the same', () => {
    const removed: FieldWrite = { ...write('d:a', 5), removedBy: write('d:b', 6) };
    expect(laterWrite(undefined, write('d:a', 1))).toEqual(write('d:a', 1));
    expect(laterWrite(write('d:a', 2), write('d:b', 1))).toEqual(write('d:a', 2));
    expect(laterWrite(write('d:a', 1), write('d:b', 2))).toEqual(write('d:b', 2));
    expect(laterWrite(removed, write('d:a', 5))).toBe(removed);
  });
});

describe('removalOf', () => {
  it('keeps the value’s write and names who removed it', () => {
    const removal = write('d:b', 7);
    const earlier: FieldWrite = { ...write('d:a', 3), removedBy: write('d:z', 4) };
    expect(removalOf(earlier, removal)).toEqual({ ...write('d:a', 3), removedBy: removal });
    expect(removalOf(undefined, removal)).toEqual({ ...removal, removedBy: removal });
  });
});

describe('recordFieldWrites', () => {
  const a = write('d:a', 10);
  const b = write('d:b', 20);

  it('notes who created an entity and each of its fields', () => {
    expect(recordFieldWrites({}, null, { f: 1, g: 2 }, a)).toEqual({ '': a, f: a, g: a });
  });

  it('gives changed fields the new write and leaves the others alone', () => {
    const before = { '': a, f: a, g: a };
    expect(recordFieldWrites(before, { f: 1, g: { x: [1] } }, { f: 2, g: { x: [1] } }, b)).toEqual({
      '': a,
      f: b,
      g: a,
    });
    expect(recordFieldWrites(before, { f: 1 }, { f: 1, h: 1 }, b)).toEqual({ '': a, f: a, g: a, h: b });
  });

  it('keeps an entry for a removed field', () => {
    const removed = recordFieldWrites({ f: a, g: a }, { f: 1, g: 2 }, { g: 2 }, b);
    expect(removed).toEqual({ f: { ...a, removedBy: b }, g: a });
    expect(recordFieldWrites(removed, { g: 2 }, { g: 2, f: null }, write('d:c', 30))).toEqual({
      f: write('d:c', 30),
      g: a,
    });
  });

  it('notes a deletion, later than everything it takes away, and keeps the entries', () => {
    expect(recordFieldWrites({ '': a, f: b }, { f: 1 }, null, write('s:x', 15))).toEqual({
      '': write('s:x', 21),
      f: b,
    });
  });

  it('counts the later of two deletions, and remembers the other', () => {
    const deleted = { '': b, f: a };
    const second = (by: Write): FieldWrites =>
      recordFieldWrites(deleted, { f: 1 }, null, by, { wasDeleted: true });
    expect(second(write('d:c', 15))).toEqual({ '': { ...b, removedBy: write('d:c', 15) }, f: a });
    expect(second(write('d:c', 25))).toEqual({ '': { ...write('d:c', 25), removedBy: b }, f: a });
    expect(second(b)).toEqual(deleted);
    expect(recordFieldWrites({}, { f: 1 }, null, b, { wasDeleted: true })).toEqual({ '': b });
  });

  describe('of a deleted entity that is there again', () => {
    const deleted = { '': b, f: a, g: write('d:z', 30) };
    const record = (after: JsonObject, decided?: FieldWrites): FieldWrites => {
      const options = { wasDeleted: true, ...(decided ? { decided } : {}) };
      return recordFieldWrites(deleted, { f: 1, g: 1, u: 1 }, after, write('d:c', 15), options);
    };
    const again = write('d:c', 21);

    it('begins without entries: the deletion stands for all that was before', () => {
      expect(record({ f: 1, h: 1 })).toEqual({ '': { ...again, deletion: b }, f: again, h: again });
      expect(record({ f: 1 }, { '': write('d:c', 15), f: write('d:c', 15) })).toEqual({
        '': { ...again, deletion: b },
        f: again,
      });
    });

    it('goes on, field by field against what was deleted, where the decision says that the deletion is void', () => {
      const back = record({ f: 2, g: 1, u: 1 }, { '': { ...write('d:c', 21), deletion: null } });
      expect(back).toEqual({ '': again, f: write('d:c', 15), g: write('d:z', 30) });
    });

    it('goes on with what is later than the deletion that does count', () => {
      const earlier = write('d:z', 12);
      const back = record({ g: 1, u: 1 }, { '': { ...again, deletion: earlier } });
      expect(back).toEqual({ '': { ...again, deletion: earlier }, g: write('d:z', 30) });
    });

    it('keeps the deletion behind later changes and behind the next deletion', () => {
      const remade = { '': { ...again, deletion: b }, f: again };
      const put = { '': write('d:z', 50) };
      expect(recordFieldWrites(remade, { f: 1 }, { f: 1 }, write('d:z', 50), { decided: put })).toEqual({
        '': { ...write('d:z', 50), deletion: b },
        f: again,
      });
      expect(recordFieldWrites(remade, { f: 1 }, null, write('d:z', 60))).toEqual({
        '': { ...write('d:z', 60), deletion: b },
        f: again,
      });
    });

    it('knows nothing of a deletion that was never recorded', () => {
      expect(recordFieldWrites({ f: a }, { f: 1 }, { f: 1 }, b, { wasDeleted: true })).toEqual({
        '': b,
        f: a,
      });
    });
  });

  it('takes from the decision what the data cannot show, and only what is later', () => {
    const decided = { f: b, g: write('d:b', 5), h: b };
    const data = { f: 1, g: 1, h: 1 };
    expect(recordFieldWrites({ f: a, g: a }, data, data, b, { decided })).toEqual({
      f: b,
      g: a,
      h: b,
    });
    const removal = { f: { ...a, removedBy: b } };
    expect(recordFieldWrites({ f: a }, { f: 1 }, { f: 1 }, b, { decided: removal })).toEqual({ f: a });
  });

  it('gives entries of a decision what the clock says of their mutation, and no others', () => {
    const counted = { ...b, folds: 7 };
    const other = write('d:z', 40);
    const decided = {
      g: b,
      h: { ...a, removedBy: b },
      i: { ...other, removedBy: other },
      j: { ...b, counter: 9 },
    };
    const data = { f: 1, g: 1, j: 1 };
    expect(recordFieldWrites({}, data, { ...data, f: 2 }, counted, { decided })).toEqual({
      f: counted,
      g: counted,
      h: { ...a, removedBy: counted },
      i: { ...other, removedBy: other },
      j: { ...b, counter: 9 },
    });
    expect(
      recordFieldWrites({ '': { ...counted, deletion: null } }, { f: 1 }, null, write('d:c', 1)),
    ).toEqual({
      '': write('d:c', 21),
    });
    expect(recordFieldWrites({ '': counted }, { f: 1 }, { f: 1 }, a, { wasDeleted: true })['']).toEqual({
      ...write('d:a', 21),
      deletion: counted,
    });
  });

  it('takes a field that was written and is not there for removed by that write', () => {
    const removal = { ...b, removedBy: b };
    const decided = { f: b };
    expect(recordFieldWrites({ f: a }, { f: 1 }, {}, b, { decided })).toEqual({ f: removal });
    expect(recordFieldWrites({}, {}, {}, b, { decided })).toEqual({ f: removal });
    // Another change had removed it, earlier or later.
    const byOther = (atMs: number) => ({ f: { ...a, atMs, removedBy: write('d:c', atMs + 1) } });
    expect(recordFieldWrites(byOther(15), {}, {}, b, { decided })).toEqual({ f: removal });
    expect(recordFieldWrites(byOther(25), {}, {}, b, { decided })).toEqual(byOther(25));
    // Its device's clock went back behind what it had seen.
    const later = { ...b, atMs: 31 };
    expect(recordFieldWrites({ f: write('d:a', 30) }, { f: 1 }, {}, b, { decided })).toEqual({
      f: { ...later, removedBy: later },
    });
    // What was left out, and the deletion of all, are no writes of the field.
    const left = { f: { ...a, removedBy: b } };
    expect(recordFieldWrites({ f: a }, { f: 1 }, {}, b, { decided: left })).toEqual(left);
    expect(recordFieldWrites({ f: a }, { f: 1 }, null, b, { decided })).toEqual({ '': b, f: b });
  });

  it('changes nothing that it was given, and takes __proto__ for a field name', () => {
    const previous = Object.freeze({ f: a });
    const data = JSON.parse('{"__proto__":1}') as Record<string, number>;
    const recorded = recordFieldWrites(previous, {}, data, b);
    expect(Object.getOwnPropertyDescriptor(recorded, '__proto__')?.value).toEqual(b);
    expect(recordFieldWrites(recorded, data, {}, write('d:c', 30))).toHaveProperty('f', a);
    expect(Object.keys(recordFieldWrites({}, {}, { constructor: 1 }, a))).toEqual(['constructor']);
  });
});

describe('repeatingWrites', () => {
  const a = write('d:a', 10);
  const before = { same: 1, changed: 1, off: 1, left: 1 };
  const decided = { same: a, changed: a, off: a, never: a, left: { ...a, removedBy: a }, '': a };

  it('are of fields that the difference of the data does not tell as written', () => {
    const told = repeatingWrites(decided, before, { same: 1, changed: 2 });
    expect(told).toEqual({ same: a, off: a, never: a, '': a });
    expect(repeatingWrites(decided, before, null)).toEqual({});
    expect(repeatingWrites(decided, null, before)).toEqual(decided);
  });
});

describe('namedWrites', () => {
  const a = write('d:a', 10);

  it.each([
    ['put', { f: 1, g: 2 }, { '': a, f: a, g: a }],
    ['patch', { f: 1 }, { f: a }],
    ['patch', null, {}],
    ['delete', null, {}],
    ['append', { f: 1 }, {}],
    ['merge', null, {}],
  ] as const)('of a %s of %j are %j', (op, data, writes) => {
    expect(namedWrites({ op, data }, a)).toEqual(writes);
  });
});

describe('repeatingWrites', () => {
  const a = write('d:a', 10);
  const decided = { '': a, f: a, g: a, h: a };

  it('are those whose field the change leaves as it was', () => {
    expect(repeatingWrites(decided, { f: 1, g: { x: 1 } }, { f: 2, g: { x: 1 } })).toEqual({
      '': a,
      g: a,
      h: a,
    });
  });

  it('are none of a deletion, and all where nobody knows what was deleted', () => {
    expect(repeatingWrites(decided, { f: 1 }, null)).toEqual({});
    expect(repeatingWrites(decided, null, { f: 1 })).toBe(decided);
  });

  it('and what they leave out is found in the data', () => {
    const previous = { '': a, f: a, g: a };
    const b = write('d:b', 20);
    const [before, after] = [
      { f: 1, g: 1 },
      { f: 2, g: 1 },
    ];
    const all = { f: b, g: b };
    const recorded = recordFieldWrites(previous, before, after, b, { decided: all });
    const carried = repeatingWrites(all, before, after);
    expect(carried).toEqual({ g: b });
    expect(recordFieldWrites(previous, before, after, b, { decided: carried })).toEqual(recorded);
  });
});
