import { hash } from 'node:crypto';
import { canonicalJson, type JsonObject } from '@sync/domain';

/** A link of a chain as it is stored: the text that was hashed, and its hash. */
export interface Link {
  readonly text: string;
  readonly hash: string;
}

/** A row of a tenant's chain. `position` counts from 1 without gaps. */
export interface StoredLink extends Link {
  readonly position: string;
}

/** Where a chain, or a page of it, begins or ends: the link at `position`; '0' and '' before the first. */
export interface ChainPoint {
  readonly position: string;
  readonly hash: string;
}

/** How many links were ever added, and the hash of the newest, as the database counted them. */
export interface ChainAnchor {
  readonly entries: string;
  readonly hash: string;
}

export const CHAIN_START: ChainPoint = { position: '0', hash: '' };

/** SHA-256 of a text, 64 lower-case hex digits. */
export function hashText(text: string): string {
  return hash('sha256', text, 'hex');
}

/**
 * The next link: the fields with the hash of the link before it, as canonical JSON, hashed.
 * @param previous hash of the link before it, '' for the first
 */
export function linkOf(fields: JsonObject, previous: string): Link {
  const text = canonicalJson({ ...fields, previous });
  return { text, hash: hashText(text) };
}

/** The position behind another one. */
export function positionAfter(position: string): string {
  return (BigInt(position) + 1n).toString();
}
