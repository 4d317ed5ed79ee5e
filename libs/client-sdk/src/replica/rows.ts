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
  /** The number of the first one of the present generation. */
  readonly firstUpdate: number;
  /** The number of the next row of table `page`. */
  readonly nextPage: number;
  /** The last generation that has come to its end: nothing of an earlier one is stored. */
  readonly oldestGeneration: number;
  /**
   * The last full resync has ended then, and what an outcome had shown stays although it was not brought:
   * its rows have an earlier generation. Null where nothing does.
   */
  readonly keptSince: string | null;
  /** Taken away from the user, and removed here: what is left is to say so. */
  readonly isRevoked: boolean;
}

/** An entity in one of its scopes. It is stored as {@link StoredEntity}, or in a {@link StoredPage}. */
export interface EntityRow {
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly generation: number;
  /** As it was pulled, without `update`; a deletion stays, for its clock. Null when only `shown` is known. */
  readonly delta: RemoteDelta | null;
  /** What an outcome has shown and no pull has brought yet. It is in no digest. */
  readonly shown: RemoteDelta | null;
  /** The key of the page that it is stored in; null where it has a row of its own, which is the newer one. */
  readonly page: string | null;
}

/** Of table `entity`, by {@link entityKey}. */
export type StoredEntity = Pick<EntityRow, 'generation' | 'delta' | 'shown'>;

/** Of table `page`, by {@link pageKey}: what a page of a full resync has brought of one type. */
export interface StoredPage {
  readonly generation: number;
  readonly deltas: readonly RemoteDelta[];
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
  // As `keyOf` has it, without a list of parts for each of 50,000.
  return `${scope}\0${entityType}\0${entityId}\0`;
}

/** @param number of the page: of two pages with one entity the later one is right */
export function pageKey(scope: string, generation: number, entityType: string, number: number): string {
  return keyOf(scope, String(generation), entityType) + String(number).padStart(16, '0');
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
    firstUpdate: 0,
    nextPage: 0,
    oldestGeneration: 0,
    keptSince: null,
    isRevoked: false,
  };
}
