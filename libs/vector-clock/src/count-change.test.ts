import { describe, expect, it } from '@jest/globals';
import {
  FOLDED_REPLICA,
  MAX_COUNTED_ENTRIES,
  clockSize,
  containsDot,
  countChange,
  counterOf,
  dotIn,
  existingPart,
  hasSeenDot,
  isOvertaken,
  parseClock,
} from './index.ts';
import type { VectorClock } from './index.ts';

/** `count` devices that changed an entity of the service once each, the last of them `last` times. */
const full = (count = MAX_COUNTED_ENTRIES - 1, last = 1): VectorClock =>
  Object.fromEntries([
    ['s:x', 7],
    ...Array.from({ length: count }, (_, index) => [`d:${index}`, index === count - 1 ? last : 1] as const),
  ]);

describe('countChange', () => {
  it('adds what is counted, and nothing else while there is room', () => {
    expect(countChange({ 's:x': 1 }, 's:x')).toEqual({ 's:x': 2 });
    expect(countChange({ 's:x': 1, 'd:1': 2 }, 'd:1', 5)).toEqual({ 's:x': 1, 'd:1': 5 });
    expect(countChange({}, 'd:1')).toEqual({ 'd:1': 1 });
    const clock = full();
    expect(countChange(clock, 'd:0')).toEqual({ ...clock, 'd:0': 2 });
    expect(clockSize(countChange(full(MAX_COUNTED_ENTRIES - 2), 'd:new'))).toBe(MAX_COUNTED_ENTRIES);
  });

  it('folds a full clock: services, the author and one entry above all that is dropped', () => {
    expect(countChange(full(), 'd:new')).toEqual({ 's:x': 7, 'd:new': 1, [FOLDED_REPLICA]: 2 });
    expect(countChange(full(undefined, 40), 'd:new')).toEqual({ 's:x': 7, 'd:new': 1, [FOLDED_REPLICA]: 41 });
    expect(countChange({ ...full(), 'd:a': 3, 'd:b': 1 }, 'd:a')).toEqual({
      's:x': 7,
      'd:a': 4,
      [FOLDED_REPLICA]: 2,
    });
    expect(countChange({ ...full(), 'd:a': 3 }, 's:y')).toEqual({ 's:x': 7, 's:y': 1, [FOLDED_REPLICA]: 4 });
  });

  it('folds again above its own entry', () => {
    const again = { ...full(), [FOLDED_REPLICA]: 90 };
    expect(countChange(again, 'd:new', 100)).toEqual({ 's:x': 7, 'd:new': 100, [FOLDED_REPLICA]: 91 });
    expect(countChange(again, 'd:new', 3)).toEqual({ 's:x': 7, 'd:new': 3, [FOLDED_REPLICA]: 92 });
  });

  it('raises that entry with each change whose counter may have been used before', () => {
    const folded = { 's:x': 7, [FOLDED_REPLICA]: 4 };
    expect(countChange(folded, 'd:1', 4)).toEqual({ 's:x': 7, 'd:1': 4, [FOLDED_REPLICA]: 5 });
    expect(countChange(folded, 'd:1', 5)).toEqual({ 's:x': 7, 'd:1': 5, [FOLDED_REPLICA]: 4 });
    expect(countChange(folded, 's:y')).toEqual({ ...folded, 's:y': 1 });
  });

  it('refuses malformed ids and counters that cannot go higher', () => {
    expect(() => countChange({}, 'x')).toThrow('not a replica id');
    expect(() => countChange({ 'd:1': Number.MAX_SAFE_INTEGER }, 'd:1')).toThrow('cannot go higher');
    expect(countChange({}, 'd:1', Number.MAX_SAFE_INTEGER)).toEqual({ 'd:1': Number.MAX_SAFE_INTEGER });
  });

  it('is not used up by a device that is', () => {
    const folded = countChange(full(undefined, Number.MAX_SAFE_INTEGER), 'd:new');
    expect(counterOf(folded, FOLDED_REPLICA)).toBe(2 ** 52 + 1);
    expect(parseClock(countChange(folded, 'd:new'))).toMatchObject({ ok: true });
  });
});

describe('hasSeenDot', () => {
  const seen = (base: VectorClock, replicaId: string, counter: number, folds = 0): boolean =>
    hasSeenDot(base, { replicaId, counter, folds }, 'd:own');

  it('goes by the entry of who made the change, where nothing was folded', () => {
    expect(seen({ 'd:1': 2 }, 'd:1', 2)).toBe(true);
    expect(seen({ 'd:1': 2 }, 'd:1', 3)).toBe(false);
    expect(seen({ 's:x': 2 }, 's:x', 2)).toBe(true);
  });

  it('is true of all changes by devices before a fold that was seen, and of no service’s', () => {
    expect(seen({ [FOLDED_REPLICA]: 5 }, 'd:1', 9, 0)).toBe(true);
    expect(seen({ [FOLDED_REPLICA]: 5 }, 'd:1', 9, 4)).toBe(true);
    expect(seen({ [FOLDED_REPLICA]: 5 }, 's:x', 1)).toBe(false);
  });

  it('is false behind a fold that was not seen, whatever old counters are claimed', () => {
    expect(seen({ 'd:1': 9 }, 'd:1', 1, 5)).toBe(false);
    expect(seen({ 'd:1': 9, [FOLDED_REPLICA]: 4 }, 'd:1', 9, 5)).toBe(false);
  });

  it('goes by the entry of the fold where the change raised it, else by its author’s', () => {
    expect(seen({ [FOLDED_REPLICA]: 5 }, 'd:1', 5, 5)).toBe(true);
    expect(seen({ [FOLDED_REPLICA]: 5 }, 'd:1', 6, 5)).toBe(false);
    expect(seen({ [FOLDED_REPLICA]: 5, 'd:1': 6 }, 'd:1', 6, 5)).toBe(true);
  });

  it('is true of the device’s own changes by its own counter', () => {
    expect(seen({ 'd:own': 1 }, 'd:own', 1, 5)).toBe(true);
    expect(seen({ 'd:own': 1 }, 'd:own', 2, 5)).toBe(false);
    expect(seen({ [FOLDED_REPLICA]: 5 }, 'd:own', 5, 5)).toBe(false);
    expect(seen({ [FOLDED_REPLICA]: 6 }, 'd:own', 5, 5)).toBe(true);
  });

  it('reads what dotIn took from the clock', () => {
    const clock = { 'd:1': 2, 's:x': 3, [FOLDED_REPLICA]: 5 };
    expect(dotIn(clock, 'd:1', 2)).toEqual({ replicaId: 'd:1', counter: 2, folds: 5 });
    expect(dotIn(clock, 's:x', 3)).toEqual({ replicaId: 's:x', counter: 3, folds: 0 });
  });
});

describe('existingPart', () => {
  const believed = (base: VectorClock, clock: VectorClock): VectorClock => existingPart(base, clock, 'd:own');

  it('is the claim itself where there is as much', () => {
    const base = { 's:x': 2, 'd:1': 1, 'd:own': 9 };
    expect(believed(base, { 's:x': 2, 'd:1': 1 })).toBe(base);
    expect(believed({}, {})).toEqual({});
  });

  it('leaves out what counts more than there is, wholly', () => {
    expect(believed({ 's:x': 3, 'd:1': 1, 'd:2': 1 }, { 's:x': 2, 'd:1': 1 })).toEqual({ 'd:1': 1 });
    expect(believed({ [FOLDED_REPLICA]: 6 }, { [FOLDED_REPLICA]: 5 })).toEqual({});
  });

  it('leaves devices up to the fold, whose entries were dropped, and no service', () => {
    const clock = { 's:x': 2, 'd:2': 1, [FOLDED_REPLICA]: 5 };
    const base = { 'd:1': 4, 'd:2': 4, [FOLDED_REPLICA]: 5 };
    expect(believed(base, clock)).toBe(base);
    expect(believed({ 'd:1': 5, 's:y': 4, 's:x': 3 }, clock)).toEqual({});
  });

  it('knows no bound where a counter was too high to be folded under', () => {
    const folded = countChange(full(undefined, Number.MAX_SAFE_INTEGER), 'd:new');
    const base = { 'd:253': Number.MAX_SAFE_INTEGER };
    expect(believed(base, folded)).toBe(base);
  });
});

describe('isOvertaken', () => {
  it('goes by the folds, then by the entries', () => {
    expect(isOvertaken({ 'd:1': 1 }, { 'd:1': 2 })).toBe(true);
    expect(isOvertaken({ 'd:1': 2 }, { 'd:1': 1 })).toBe(false);
    expect(isOvertaken({ 'd:1': 2 }, { 'd:1': 2 })).toBe(false);
    expect(isOvertaken({ 'd:1': 2 }, { [FOLDED_REPLICA]: 3 })).toBe(true);
    expect(isOvertaken({ [FOLDED_REPLICA]: 3 }, { 'd:1': 2 })).toBe(false);
    expect(isOvertaken({ 'd:1': 9, [FOLDED_REPLICA]: 3 }, { [FOLDED_REPLICA]: 4 })).toBe(true);
  });
});

it.each([
  [1, true],
  [2, true],
  [3, false],
])('a clock with two changes of a replica contains number %i: %s', (counter, contained) => {
  expect(containsDot({ 'd:a': 2, 'd:b': 9 }, 'd:a', counter)).toBe(contained);
  expect(containsDot({ 'd:b': 9 }, 'd:a', counter)).toBe(false);
});
