import { hash } from 'node:crypto';
import { type PreparedMutation, type PushMoment, restoreMutation } from './prepare-mutation.ts';
import type { TagVerdict } from './verify-tags.ts';

/** What the ledger has of a mutation. */
export interface StoredMutation {
  readonly mutation_id: string;
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
 * Whatever proves that, is asked here. The hash finds what was changed by accident, or by somebody who did not
 * know of it; whoever writes payloads can write hashes. He cannot write tags: only the device, and the identity
 * service, have the key. A row without a tag may have had one, so types that are worth it require one.
 * @param tag what the tag of the payload says
 */
export function restoreAsItCame(
  stored: StoredMutation,
  author: Pick<PushMoment, 'userId' | 'deviceId'>,
  tag: TagVerdict,
): PreparedMutation | null {
  const { payload, payload_hash: known, stored_scope: scope, occurred_at_ms: occurredAtMs } = stored;
  const mutation = tag === 'wrong' ? null : parse(payload, author, occurredAtMs ?? 0);
  // Earlier releases kept the case in which an id came.
  if (mutation?.mutationId.toLowerCase() !== stored.mutation_id || mutation.scope !== scope) return null;
  // A tag in another place than where one is looked for is none.
  if ((mutation.tag === undefined) !== (tag === 'absent')) return null;
  const sent = known.length === SHA256_LENGTH ? hash('sha256', payload, 'hex') : mutation.identity;
  return sent === known ? mutation : null;
}

function parse(...stored: Parameters<typeof restoreMutation>): PreparedMutation | null {
  try {
    return restoreMutation(...stored);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
