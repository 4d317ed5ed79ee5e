import { describe, expect, it } from '@jest/globals';
import { detectConflict } from './detect-conflict.ts';

describe('detectConflict', () => {
  it.each([
    { name: 'the server has no such entity', current: null, base: {}, expected: 'clean' },
    { name: 'the server has no such entity any more', current: null, base: { 'd:a': 3 }, expected: 'clean' },
    {
      name: 'equal clocks',
      current: { 'd:a': 1, 's:x': 2 },
      base: { 's:x': 2, 'd:a': 1 },
      expected: 'clean',
    },
    {
      name: 'the device is ahead by its own unpushed work',
      current: { 's:x': 1 },
      base: { 's:x': 1, 'd:a': 2 },
      expected: 'clean',
    },
    { name: 'zero entries', current: { 'd:b': 0 }, base: {}, expected: 'clean' },
    { name: 'the server moved on', current: { 's:x': 2 }, base: { 's:x': 1 }, expected: 'concurrent' },
    { name: 'both moved on', current: { 's:x': 2 }, base: { 's:x': 1, 'd:a': 1 }, expected: 'concurrent' },
    { name: 'the device never saw the entity', current: { 's:x': 1 }, base: {}, expected: 'concurrent' },
  ])('$expected: $name', ({ current, base, expected }) => {
    expect(detectConflict(current, base)).toBe(expected);
  });
});
