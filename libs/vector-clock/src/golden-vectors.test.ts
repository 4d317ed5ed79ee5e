import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { canonicalClockJson, compareClocks, incrementClock, mergeClocks, parseClock } from './index.ts';
import type { ClockOrder, VectorClock } from './index.ts';

interface GoldenVectors {
  compare: { name: string; a: VectorClock; b: VectorClock; order: ClockOrder }[];
  merge: { name: string; a: VectorClock; b: VectorClock; merged: VectorClock }[];
  increment: { name: string; clock: VectorClock; replicaId: string; next: VectorClock | null }[];
  canonical: { name: string; clock: VectorClock; json: string }[];
  parse: { name: string; value: unknown; clock?: VectorClock; path?: string }[];
}

// The frozen file (F06). A change of this hash is a change of what every deployed client and server agreed
// on: add vectors together with an entry in the protocol's version history, never change the meaning of one
// that is here.
const FROZEN_SHA256 = '56229182d65c348ff045bc0cb5c2a500d50058e437aa6aa544cce65f4c66c857';

const bytes = readFileSync(new URL('../golden/vectors.json', import.meta.url));
const golden = JSON.parse(bytes.toString('utf8')) as GoldenVectors;

describe('golden/vectors.json', () => {
  it('is the frozen file', () => {
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(FROZEN_SHA256);
  });

  it.each(golden.compare)('compare: $name', ({ a, b, order }) => {
    const mirrored = { before: 'after', after: 'before', equal: 'equal', concurrent: 'concurrent' } as const;
    expect(compareClocks(a, b)).toBe(order);
    expect(compareClocks(b, a)).toBe(mirrored[order]);
  });

  it.each(golden.merge)('merge: $name', ({ a, b, merged }) => {
    expect(Object.entries(mergeClocks(a, b)).sort()).toEqual(Object.entries(merged).sort());
    expect(Object.entries(mergeClocks(b, a)).sort()).toEqual(Object.entries(merged).sort());
  });

  it.each(golden.increment)('increment: $name', ({ clock, replicaId, next }) => {
    if (next === null) expect(() => incrementClock(clock, replicaId)).toThrow(RangeError);
    else expect(Object.entries(incrementClock(clock, replicaId)).sort()).toEqual(Object.entries(next).sort());
  });

  it.each(golden.canonical)('canonical JSON: $name', ({ clock, json }) => {
    expect(canonicalClockJson(clock)).toBe(json);
  });

  it.each(golden.parse)('parse: $name', ({ value, clock, path }) => {
    const parsed = parseClock(value);
    if (path !== undefined) expect(parsed).toMatchObject({ ok: false, path });
    else expect(parsed).toStrictEqual({ ok: true, clock });
  });
});
