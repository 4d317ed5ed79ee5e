/** Of what in the mirror those who listen are told. */
import { expect, it } from '@jest/globals';
import type { EntityRow } from '../replica/rows.ts';
import { AppVersions } from '../schema/app-versions.ts';
import { Mirror } from './mirror.ts';

function rowOf(entityId: string, value: number): EntityRow {
  const place = { entityType: 'note', entityId };
  const state = { op: 'put', clock: { 'd:other': 1 }, schemaVersion: 1, committedAt: '' } as const;
  const delta = { ...place, ...state, data: { value } };
  return { ...place, scope: 'user:u', generation: 1, delta, shown: null, page: null };
}

/** @returns the mirror with these, and the ids that were told since, one list for each time */
function mirrorOf(...rows: readonly EntityRow[]) {
  const mirror = new Mirror(new AppVersions());
  const told: string[][] = [];
  mirror.listen(({ entities }) => told.push([...(entities.get('note') ?? [])]));
  mirror.load('note', rows);
  return { mirror, told };
}

it('tells once of all that looks different, also of what was looked at meanwhile', () => {
  const { mirror, told } = mirrorOf(rowOf('a', 1));
  expect(mirror.get('note', 'a')?.data).toEqual({ value: 1 });
  mirror.setRow(rowOf('b', 1));
  expect(mirror.list('note').map(({ id }) => id)).toEqual(['a', 'b']);
  mirror.announce();
  mirror.announce();
  expect(told).toEqual([['a', 'b']]);
});

it('does not tell of what looks the same', () => {
  const { mirror, told } = mirrorOf(rowOf('a', 1), rowOf('b', 1));
  mirror.announce();
  const before = mirror.get('note', 'a');
  for (const row of [rowOf('a', 1), rowOf('b', 2)]) mirror.setRow(row);
  mirror.announce();
  mirror.setRow(rowOf('a', 1));
  mirror.announce();
  expect(told).toEqual([['a', 'b'], ['b']]);
  expect(mirror.get('note', 'a')).toBe(before);
});
