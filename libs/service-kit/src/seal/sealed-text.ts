import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';

/**
 * Whose secret it is: what it is for, and the ids of the row that has it. It is bound into the sealed text,
 * which opens for nobody else.
 */
export type SecretOwner = readonly string[];

/**
 * A secret that was sealed with another key, for another row, or was changed; or one in clear where none may
 * be.
 */
export class SealError extends Error {
  override readonly name = 'SealError';
}

const CIPHER = 'aes-256-gcm';
/** What GCM is made for; at random, a key may seal 2^32 texts. */
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MARK = 'sealed:';
const SHAPE = /^sealed:([1-9]\d{0,8}):([A-Za-z0-9_-]+)$/;

/** What all texts begin with that were sealed with this data key; those in clear never do. */
export function sealedPrefix(dataKeyId: number): string {
  return `${MARK}${dataKeyId}:`;
}

/** @param key 32 bytes */
export function sealText(dataKeyId: number, key: KeyObject, owner: SecretOwner, text: string): string {
  return `${sealedPrefix(dataKeyId)}${encrypt(key, owner, Buffer.from(text, 'utf8'))}`;
}

/** The id of the data key that opens a stored text; null for one in clear. @throws SealError */
export function dataKeyOf(stored: string): number | null {
  if (!stored.startsWith(MARK)) return null;
  const id = SHAPE.exec(stored)?.[1];
  if (id === undefined) throw new SealError('The stored text is not one that was sealed here');
  return Number(id);
}

/** @throws SealError */
export function openText(key: KeyObject, owner: SecretOwner, stored: string): string {
  return decrypt(key, owner, stored.slice(stored.lastIndexOf(':') + 1)).toString('utf8');
}

/** AES-256-GCM. @returns IV, ciphertext and tag in base64url */
export function encrypt(key: KeyObject, owner: SecretOwner, bytes: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv).setAAD(boundTo(owner));
  return Buffer.concat([iv, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** @throws SealError */
export function decrypt(key: KeyObject, owner: SecretOwner, encrypted: string): Buffer {
  const bytes = Buffer.from(encrypted, 'base64url');
  if (bytes.length < IV_BYTES + TAG_BYTES) throw new SealError('The sealed text is cut short');
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), options);
  decipher.setAAD(boundTo(owner)).setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new SealError('It was sealed with another key, for another row, or was changed', { cause });
  }
}

/** JSON, because its parts cannot run into each other whatever they hold. */
function boundTo(owner: SecretOwner): Buffer {
  return Buffer.from(JSON.stringify(owner), 'utf8');
}
