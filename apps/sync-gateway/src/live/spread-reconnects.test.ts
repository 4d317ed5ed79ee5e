import { expect, it } from '@jest/globals';
import { reconnectAfterMs } from './spread-reconnects.ts';

it.each([
  [1, 0, 0],
  [1, 0.999, 999],
  [10_000, 0.5, 5_000],
  [50_000, 0.999, 29_970],
])('of %i sockets the one with %f comes again after %i ms', (sockets, random, ms) => {
  expect(reconnectAfterMs(sockets, random)).toBe(ms);
});
