import { expect, it } from '@jest/globals';
import { type Priority, PRIORITIES } from '@sync/protocol';
import fc from 'fast-check';
import { isShed, nextPlaces, nextShedding, NOTHING_SHED, type Shedding, type Strain } from './shed-load.ts';

const LIMITS: Strain = { loopDelayMs: 100, poolWaitMs: 1_000 };
const strained = (loopDelayMs: number, poolWaitMs = 0): Strain => ({ loopDelayMs, poolWaitMs });
const after = (strains: readonly Strain[], from: Shedding = NOTHING_SHED): number =>
  strains.reduce((shedding, strain) => nextShedding(shedding, strain, LIMITS), from).level;
const times = (count: number, strain: Strain): Strain[] => Array.from({ length: count }, () => strain);

it.each<[string, Strain[], number]>([
  ['a single pause, however long', [strained(60_000), strained(0)], 0],
  ['a strain below the limit', times(10, strained(99)), 0],
  ['a strain at the limit, twice in a row', times(2, strained(100)), 1],
  ['a strain that comes and goes', [strained(100), strained(99), strained(100)], 0],
  ['a strain at the limit that lasts', times(20, strained(100)), 1],
  ['twice the limit', times(20, strained(200)), 2],
  ['waits for Postgres alone', times(20, strained(0, 3_000)), 3],
  ['more than four times the limit', times(20, strained(5_000)), 4],
])('refuses by priority: after %s', (_what, strains, level) => {
  expect(after(strains)).toBe(level);
});

it('refuses less only when the strain is half of what it was for', () => {
  const level = 2;
  const shedding: Shedding = { level, pressed: false };
  expect(after(times(10, strained(101)), shedding)).toBe(2);
  expect(after([strained(99)], shedding)).toBe(1);
  expect(after(times(2, strained(0)), shedding)).toBe(0);
});

it('refuses the lowest priorities first, and all that are lower than one that it refuses', () => {
  const refused = (level: number): Priority[] =>
    PRIORITIES.filter((priority) => isShed(priority, { level, pressed: false }));
  expect([0, 1, 2, 3, 4].map(refused)).toEqual([
    [],
    ['admin'],
    ['resync', 'admin'],
    ['push', 'resync', 'admin'],
    ['delivery', 'push', 'resync', 'admin'],
  ]);
});

it('moves by one level at a time between nothing and all, and ends at nothing without strain', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ loopDelayMs: fc.nat(1_000), poolWaitMs: fc.nat(9_000) })), (strains) => {
      let shedding = NOTHING_SHED;
      for (const strain of strains) {
        const next = nextShedding(shedding, strain, LIMITS);
        expect(Math.abs(next.level - shedding.level)).toBeLessThanOrEqual(1);
        expect(next.level).toBeGreaterThanOrEqual(0);
        expect(next.level).toBeLessThanOrEqual(PRIORITIES.length);
        shedding = next;
      }
      expect(after(times(PRIORITIES.length, strained(0)), shedding)).toBe(0);
    }),
  );
});

const BOUNDS = { least: 8, most: 128 };

it.each<[string, number, Strain, number, number]>([
  ['all to a single tenant, however late it is', 8, strained(500), 1, 128],
  ['fewer to several that are late', 128, strained(26), 2, 96],
  ['fewer to several that wait for Postgres', 128, strained(0, 26), 2, 96],
  ['never less than the least', 9, strained(500), 2, 8],
  ['more again, step by step, to several that are not late', 96, strained(25), 2, 109],
  ['never more than the most', 120, strained(0), 2, 128],
])('gives places: %s', (_what, places, strain, tenants, next) => {
  expect(nextPlaces(places, strain, tenants, BOUNDS)).toBe(next);
});
