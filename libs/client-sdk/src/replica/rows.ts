/** What a device keeps of its scopes and entities, as it is stored. */
import type { Digest, RemoteDelta } from '@sync/protocol';
import { keyOf } from '../storage/store.ts';
import { NOTHING } from './digest.ts';

/** Of table `scope`, by {@link scopeKey}. */
export interface ScopeRow {
  readonly scope: string;
  /** Up to where it was pulled; null before its first page. */
  readonly cursor: string | null;
  /**
   * Counts full resyncs. Entities of the one before stay to be seen until the present one is at its end, and
   * go then unless they came again.
   */
  readonly generation: number;
  /** The present generation has not come to its end yet. */
  readonly isResyncing: boolean;
  /** Of the live entities of this generation. */
  readonly digest: Digest;
  /** What the server says of its own at `cursor`; null while more is to be pulled. */
  readonly serverDigest: Digest | null;
  /** By the device's clock: when it last had everything. Null until the first time. */
  readonly syncedAt: string | null;
  /** The cursor that the server knows of. */
  readonly ackedCursor: string | null;
  /** The number of the next row of table `document`. */
  readonly nextUpdate: number;
  /** Taken away from the user, and removed here: what is left is to say so. */
  readonly isRevoked: boolean;
}

/** Of table `entity`, by {@link entityKey}: an entity in one of its scopes. */
export interface EntityRow {
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly generation: number;
  /** As it was pulled, without `update`; a deletion stays, for its clock. Null when only `shown` is known. */
  readonly delta: RemoteDelta | null;
  /** What an outcome has shown and no pull has brought yet. It is in no digest. */
  readonly shown: RemoteDelta | null;
}

/** Of table `document`: what was added to a Yjs document, in the order of its key's number. */
export interface DocumentRow {
  readonly epoch: number;
  /** base64, Yjs update v1 */
  readonly update: string;
}

export function scopeKey(scope: string): string {
  return keyOf(scope);
}

export function entityKey(scope: string, entityType: string, entityId: string): string {
  return keyOf(scope, entityType, entityId);
}

export function freshScope(scope: string): ScopeRow {
  return {
    scope,
    cursor: null,
    generation: 0,
    isResyncing: false,
    digest: NOTHING,
    serverDigest: null,
    syncedAt: null,
    ackedCursor: null,
    nextUpdate: 0,
    isRevoked: false,
  };
}
