import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { EMPTY_DIGEST, entityDigestInput } from '@sync/domain';
import type { Digest, RemoteDelta } from '@sync/protocol';

/** Of a scope without live entities. */
export const NOTHING: Digest = { count: 0, hash: EMPTY_DIGEST };

const WORDS = 8;
const WORD = 2 ** 32;
const WORD_DIGITS = 8;
const BYTES = WORDS * 4;

/**
 * The digest (PULL-6) of a scope while its entities change: the sum of their hashes modulo 2^256, in words of
 * 32 bits. A page reads and writes it in hexadecimal digits once, and not for each of its entities. SHA-256
 * in JavaScript and not WebCrypto's: that one answers later, and costs more than the hash of so few bytes.
 */
export class DigestSum {
  #count: number;
  /** The lowest last. */
  readonly #words: Uint32Array;

  constructor({ count, hash }: Digest) {
    this.#count = count;
    const digitsOf = (at: number): string => hash.slice(at * WORD_DIGITS, (at + 1) * WORD_DIGITS);
    this.#words = Uint32Array.from({ length: WORDS }, (_word, at) => parseInt(digitsOf(at), 16));
  }

  /**
   * An entity has changed.
   * @param before as it was counted; null or a deletion when it was not
   * @param after as it counts now
   */
  change(before: RemoteDelta | null, after: RemoteDelta | null): this {
    if (before && before.op !== 'delete') this.#add(before, -1);
    if (after && after.op !== 'delete') this.#add(after, 1);
    return this;
  }

  get digest(): Digest {
    const digits = Array.from(this.#words, (word) => word.toString(16).padStart(WORD_DIGITS, '0'));
    return { count: this.#count, hash: digits.join('') };
  }

  #add({ entityType, entityId, clock }: RemoteDelta, sign: 1 | -1): void {
    this.#count += sign;
    hash(entityDigestInput(entityType, entityId, clock));
    let carry = 0;
    for (let at = WORDS - 1; at >= 0; at -= 1) {
      const word = (this.#words[at] ?? 0) + sign * HASH_VIEW.getUint32(at * 4) + carry;
      // Kept modulo 2^32, also below zero.
      this.#words[at] = word;
      carry = Math.floor(word / WORD);
    }
  }
}

/** The digest after one entity has changed: see {@link DigestSum.change}. */
export function changeDigest(digest: Digest, before: RemoteDelta | null, after: RemoteDelta | null): Digest {
  return new DigestSum(digest).change(before, after).digest;
}

export function sameDigest(one: Digest, other: Digest): boolean {
  return one.count === other.count && one.hash === other.hash;
}

const HASH = new Uint8Array(BYTES);
const HASH_VIEW = new DataView(HASH.buffer);
const UNUSED = sha256.create();
const working = sha256.create();
const TEXT = new Uint8Array(1_024);

/**
 * SHA-256 of the text into {@link HASH}. One hasher and one buffer for all: new ones for each of 50,000
 * entities cost more than their hashes.
 */
function hash(text: string): void {
  UNUSED._cloneInto(working);
  working.update(utf8Of(text));
  working.digestInto(HASH);
}

/** @returns good until the next call */
function utf8Of(text: string): Uint8Array {
  if (text.length > TEXT.length) return utf8ToBytes(text);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 127) return utf8ToBytes(text);
    TEXT[at] = code;
  }
  return TEXT.subarray(0, text.length);
}
