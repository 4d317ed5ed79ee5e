import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { type TagAuthor, tagKeyInfo, taggedText } from '@sync/protocol';

/** SHA-256 of a text in UTF-8, 64 lower-case hex digits. */
export const sha256Hex = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

/** A UUID of version 8 (RFC 9562) that is the same for the same text. */
export function uuidOf(text: string): string {
  const digits = sha256Hex(text);
  const parts = [digits.slice(0, 8), digits.slice(8, 12), `8${digits.slice(13, 16)}`];
  return [...parts, `a${digits.slice(17, 20)}`, digits.slice(20, 32)].join('-');
}

/** HMAC-SHA-256 in hex. */
export const macOf = (secret: string, text: string): string =>
  bytesToHex(hmac(sha256, utf8ToBytes(secret), utf8ToBytes(text)));

/** The tag that a device with this key gives a mutation (PUSH-22), in hex. */
export function tagOf(
  key: Uint8Array,
  author: TagAuthor,
  mutation: Readonly<Record<string, unknown>>,
): string {
  const tagKey = hkdf(sha256, key, undefined, utf8ToBytes(tagKeyInfo(author)), 32);
  return bytesToHex(hmac(sha256, tagKey, utf8ToBytes(taggedText(mutation))));
}

/** Base64 as hex; of what is no base64, whatever comes. */
export function hexOfBase64(text: string): string {
  return bytesToHex(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
}
