import { describe, expect, it } from '@jest/globals';
import { partitionOf } from './partition.ts';

describe('partitionOf', () => {
  // Test vectors of FNV-1a 32 (RFC 9923, Fowler/Noll/Vo): the hash itself, so taken modulo 2^32.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
  ])('hashes %j as the published vectors say', (key, hash) => {
    expect(partitionOf(key, 2 ** 32)).toBe(hash);
  });

  it.each([
    ['acme/progress/u1:c1', 4, 0],
    ['Zürich', 16, 0],
    ['😀', 16, 8],
  ])('keeps %j of %i in partition %i for ever', (key, partitions, partition) => {
    expect(partitionOf(key, partitions)).toBe(partition);
  });

  it('spreads keys evenly', () => {
    const counts = Array.from({ length: 8 }, () => 0);
    for (let n = 0; n < 8_000; n += 1) {
      const partition = partitionOf(`tenant-${n % 13}/entity-${n}`, 8);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %p partitions', (partitions) => {
    expect(() => partitionOf('a', partitions)).toThrow(RangeError);
  });
});
