import { expect, it } from '@jest/globals';
import { type OpenHere, roomForOneMore } from './device-room.ts';

const NOW_MS = 100_000;
const open = (count: number, sinceMs: number, leaving = false): OpenHere[] =>
  Array.from({ length: count }, () => ({ sinceMs, leaving }));

it.each([
  ['seven', open(7, 0)],
  ['eight of which one is leaving', [...open(1, 0, true), ...open(7, 0)]],
])('is there beside %s', (_what, opened) => {
  expect(roomForOneMore(opened, NOW_MS)).toEqual({ kind: 'free' });
});

it('is made at once by the oldest that has stayed for five seconds, and later by one that has not', () => {
  const old = [...open(1, NOW_MS - 5_000), ...open(7, NOW_MS)];
  expect(roomForOneMore(old, NOW_MS)).toEqual({ kind: 'oldest', oldest: old[0], afterMs: 0 });
  const young = open(8, NOW_MS - 1_000);
  expect(roomForOneMore(young, NOW_MS)).toEqual({ kind: 'oldest', oldest: young[0], afterMs: 4_000 });
});

it('is made by one that was not asked yet', () => {
  const opened = [...open(2, 0, true), ...open(8, 1)];
  expect(roomForOneMore(opened, NOW_MS)).toMatchObject({ kind: 'oldest', oldest: opened[2] });
});

it('is refused when twice as many are here, also if half of them leave', () => {
  expect(roomForOneMore([...open(8, NOW_MS, true), ...open(8, NOW_MS)], NOW_MS)).toEqual({ kind: 'refused' });
});
