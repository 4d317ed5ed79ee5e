import { expect, it } from '@jest/globals';
import { preferredCoding } from './compress-answer.ts';

it.each([
  [undefined, null],
  ['', null],
  ['identity', null],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['br', 'br'],
  ['gzip, deflate, br', 'br'],
  ['GZIP', 'gzip'],
  ['gzip;q=1.0, br;q=0.5', 'gzip'],
  ['br;q=0, gzip;q=0', null],
  ['br;q=0, *', 'gzip'],
  ['*', 'br'],
  ['*;q=0', null],
  ['zstd, deflate', null],
  ['br;q=nonsense', null],
] as const)('%j is answered with %j', (header, coding) => {
  expect(preferredCoding(header)).toBe(coding);
});

it('reads no list of thousands of codings', () => {
  expect(preferredCoding(`br${', x;a;b;c'.repeat(2_000)}`)).toBeNull();
});
