import { describe, expect, it } from '@jest/globals';
import type { FieldWrite, Write } from '../entity.ts';
import {
  compareWrites,
  hasSeen,
  laterWrite,
  namedWrites,
  readFieldWrite,
  recordFieldWrites,
  removalOf,
  repeatingWrites,
  writeOver,
  writeOverAll,
} from './field-writes.ts';

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

describe('hasSeen', () => {
  const removed: FieldWrite = { ...write('d:a', 1, 2), removedBy: write('d:b', 2, 3) };

  it('is true for whoever saw the value or its removal', () => {
    expect(hasSeen({ 'd:a': 2 }, write('d:a', 1, 2))).toBe(true);
    expect(hasSeen({ 'd:a': 2 }, removed)).toBe(true);
    expect(hasSeen({ 'd:b': 3 }, removed)).toBe(true);
  });

  it('is false for who saw earlier changes of the same replicas', () => {
    expect(hasSeen({ 'd:a': 1 }, write('d:a', 1, 2))).toBe(false);
    expect(hasSeen({ 'd:a': 1, 'd:b': 2 }, removed)).toBe(false);
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

  it('counts a second deletion only when it is later', () => {
    const deleted = { '': b, f: a };
    const wasDeleted = { wasDeleted: true };
    expect(recordFieldWrites(deleted, { f: 1 }, null, write('d:c', 15), wasDeleted)).toEqual(deleted);
    expect(recordFieldWrites(deleted, { f: 1 }, null, write('d:c', 25), wasDeleted)).toEqual({
      '': write('d:c', 25),
      f: a,
    });
  });

  it('notes the return of a deleted entity, field by field against what was deleted', () => {
    const back = recordFieldWrites({ '': b, f: a, g: a }, { f: 1, g: 1 }, { f: 2, g: 1 }, write('d:c', 15), {
      wasDeleted: true,
    });
    expect(back).toEqual({ '': write('d:c', 21), f: write('d:c', 15), g: a });
  });

  it('takes from the decision what the data cannot show, and only what is later', () => {
    const decided = { f: b, g: write('d:b', 5), h: b };
    expect(recordFieldWrites({ f: a, g: a }, { f: 1, g: 1 }, { f: 1, g: 1 }, b, { decided })).toEqual({
      f: b,
      g: a,
      h: b,
    });
    const removal = { f: { ...a, removedBy: b } };
    expect(recordFieldWrites({ f: a }, { f: 1 }, { f: 1 }, b, { decided: removal })).toEqual({ f: a });
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
