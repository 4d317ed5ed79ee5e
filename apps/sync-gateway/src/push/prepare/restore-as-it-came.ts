import { hash } from 'node:crypto';
import { type PreparedMutation, type PushMoment, restoreMutation } from './prepare-mutation.ts';

/** What the ledger has of a mutation. */
export interface StoredMutation {
  readonly payload: string;
  /** Of what came: an identity; in rows of releases before those the SHA-256 of the payload. Hexadecimal. */
  readonly payload_hash: string;
  /** The scope that was looked up for it. */
  readonly stored_scope: string | null;
  readonly occurred_at_ms: number | null;
}

const SHA256_LENGTH = 64;

/**
 * The mutation of a stored row, before it goes anywhere; null when it is not what came from its device.
 * Whatever proves that, is asked here. So far it is a hash: it finds what was changed by accident, or by
 * somebody who did not know of it, but whoever writes payloads can write hashes.
 */
export function restoreAsItCame(
  { payload, payload_hash: known, stored_scope: scope, occurred_at_ms: occurredAtMs }: StoredMutation,
  author: Pick<PushMoment, 'userId' | 'deviceId'>,
): PreparedMutation | null {
  const mutation = parse(payload, author, occurredAtMs ?? 0);
  const sent = known.length === SHA256_LENGTH ? hash('sha256', payload, 'hex') : mutation?.identity;
  return mutation?.scope === scope && sent === known ? mutation : null;
}

function parse(...stored: Parameters<typeof restoreMutation>): PreparedMutation | null {
  try {
    return restoreMutation(...stored);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
