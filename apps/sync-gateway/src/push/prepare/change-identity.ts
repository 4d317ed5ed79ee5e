import { hash } from 'node:crypto';
import type { LocalMutation } from '@sync/protocol';

/** A mutation's identity, and of an appended record the whole hash of what was sent. */
export interface IdentifiedChange {
  readonly identity: string;
  /** See PushedMutation. */
  readonly dataDigest?: string;
}

/**
 * Which change a mutation is, for `sameChange`: who wrote what to which entity, through which scope, and
 * when. Not how that was written down, nor what the device knew then (`baseClock`, `dependsOn`), which an app
 * that was installed anew builds again.
 *
 * 128 bits of each hash: a row of the ledger carries them for a month.
 * @param data canonical JSON of the mutation's `data`
 * @param wallMs `occurredAt` as epoch milliseconds, as its device has it
 */
export function identifyChange(
  userId: string,
  mutation: Pick<LocalMutation, 'entityType' | 'entityId' | 'op' | 'scope' | 'update' | 'schemaVersion'>,
  data: string,
  wallMs: number,
): IdentifiedChange {
  const { entityType, entityId, op, scope, schemaVersion = 1 } = mutation;
  const update = op === 'merge' ? mutation.update : null;
  const carriesData = op !== 'merge' && op !== 'delete';
  const lasting = digestOf(JSON.stringify([userId, entityType, entityId, op, scope, wallMs, update]));
  const ofData = hash('sha256', carriesData ? data : '', 'hex');
  const identity = lasting + schemaVersion.toString(16).padStart(8, '0') + ofData.slice(0, 32);
  return op === 'append'
    ? { identity, dataDigest: Buffer.from(ofData, 'hex').toString('base64url') }
    : { identity };
}

/** The same for what matches no schema: only exactly the same is the same. */
export function textIdentity(text: string): string {
  return digestOf(text).padEnd(72, '0');
}

function digestOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32);
}
