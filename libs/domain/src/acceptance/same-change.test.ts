import { describe, expect, it } from '@jest/globals';
import { sameChange } from './same-change.ts';

/** An identity of three letters: all but the data, its version, the data. */
function identity([lasting = '', version = '', data = '']: string): string {
  return lasting.repeat(32) + version.repeat(8) + data.repeat(32);
}

describe('sameChange', () => {
  it.each([
    ['a1c', 'a1c', true],
    ['a1c', 'a1d', false],
    ['a1c', 'b1c', false],
    ['a1c', 'a2c', true],
    ['a1c', 'a2d', true],
    ['a1c', 'b2c', false],
  ])('%s and %s: %s', (known, sent, same) => {
    expect(sameChange(identity(known), identity(sent))).toBe(same);
    expect(sameChange(identity(sent), identity(known))).toBe(same);
  });
});
