import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EMPTY_DIGEST, addToDigest, entityDigestInput, subtractFromDigest } from './digest.ts';

const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const MAX = 'f'.repeat(64);
const ONE = `${'0'.repeat(63)}1`;

describe('entityDigestInput', () => {
  it('joins type, id and canonical clock with NUL', () => {
    expect(entityDigestInput('note', 'n1', { 's:learning': 2, 'd:1': 1, 'd:0': 0 })).toBe(
      'note\u0000n1\u0000{"d:1":1,"s:learning":2}',
    );
  });

  it('gives the documented digest: golden value for clients in other languages', () => {
    const hashes = [
      entityDigestInput('note', 'n1', { 'd:phone': 3, 's:learning': 1 }),
      entityDigestInput('progress', 'p1', { 'd:tablet': 1 }),
    ].map((text) => createHash('sha256').update(text, 'utf8').digest('hex'));
    expect(hashes.reduce(addToDigest, EMPTY_DIGEST)).toBe(
      'b8e430ae44edf4fcfb22b7aa9486b01c527e34b014cf208d6bd11082fea5ccfd',
    );
  });
});

describe('a digest', () => {
  it('is empty as 64 zeros', () => {
    expect(EMPTY_DIGEST).toMatch(/^0{64}$/);
  });

  it('wraps around at 2^256', () => {
    expect(addToDigest(MAX, ONE)).toBe(EMPTY_DIGEST);
    expect(subtractFromDigest(EMPTY_DIGEST, ONE)).toBe(MAX);
    expect(addToDigest(MAX, MAX)).toBe(`${'f'.repeat(63)}e`);
  });

  it('does not depend on order, and taking out undoes putting in', () => {
    fc.assert(
      fc.property(hash, hash, hash, (a, b, c) => {
        expect(addToDigest(addToDigest(a, b), c)).toBe(addToDigest(a, addToDigest(c, b)));
        expect(subtractFromDigest(addToDigest(a, b), b)).toBe(a);
        expect(addToDigest(subtractFromDigest(a, b), b)).toBe(a);
        expect(addToDigest(a, EMPTY_DIGEST)).toBe(a);
        expect(subtractFromDigest(a, a)).toBe(EMPTY_DIGEST);
      }),
    );
  });

  it.each(['', '0', 'F'.repeat(64), `${MAX}0`, ` ${ONE}`, `${ONE}\n`, 'g'.repeat(64)])(
    'is refused as %j',
    (text) => {
      expect(() => addToDigest(text, ONE)).toThrow('a digest is 64 lower-case hexadecimal digits');
      expect(() => subtractFromDigest(ONE, text)).toThrow(RangeError);
    },
  );
});
