import { hash } from 'node:crypto';
import { deepEqualJson, readField, sortKeys, type JsonObject } from '@sync/domain';
import type { PushedMutation } from '@sync/protocol';
import type { EntityData } from '../entity-store.ts';

/**
 * Who sent an appended record, and the SHA-256 of its canonical JSON as it was sent (base64url). The stored
 * record does not say this any more: the service fills in times and names, and changes values.
 */
export interface SentRecord {
  readonly by: string;
  readonly digest: string;
}

type SentMutation = Pick<PushedMutation, 'userId' | 'data' | 'dataDigest'>;

export function sentRecordOf({ userId, data, dataDigest }: SentMutation): SentRecord {
  return {
    by: userId,
    // The gateway has hashed the same text already, to know the mutation again: 0.5 ms of a hundred records.
    digest: dataDigest ?? hash('sha256', JSON.stringify(sortKeys(data)), 'base64url'),
  };
}

/**
 * Whether a record that comes again under another mutationId is the stored one: the same as was sent then, or
 * one that names nothing but what stands, as a device sends it that has pulled it.
 * @param stored data and origin of the stored record; `sent` is null where a service made it, or an SDK that
 * kept no origin
 */
export function isSentAgain(
  stored: { readonly data: EntityData; readonly sent: SentRecord | null },
  mutation: SentMutation & Pick<PushedMutation, 'op'>,
): boolean {
  // In the name of somebody else it is another record, although its words are the same.
  if (stored.sent?.by !== mutation.userId) return false;
  return stored.sent.digest === sentRecordOf(mutation).digest || standsAsSent(mutation, stored.data);
}

/**
 * Whether all that a mutation named stands as it was sent. What the service adds to it changes nothing of it.
 * @param data the entity with the mutation in it, null when it is deleted
 */
export function standsAsSent(
  { op, data: sent }: Pick<PushedMutation, 'op' | 'data'>,
  data: EntityData | null,
): boolean {
  if (op === 'merge') return true;
  if (op === 'delete' || data === null) return (op === 'delete') === (data === null);
  const stands = data as JsonObject;
  return Object.entries((sent ?? {}) as JsonObject).every(([field, value]) =>
    deepEqualJson(readField(stands, field), value),
  );
}
