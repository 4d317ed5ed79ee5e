import type { RemoteDelta } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import type { RxCollection, WithDeleted } from 'rxdb';

/** A document as RxDB has it: the data of an entity, and what the server says of it. */
export type Synced = Readonly<Record<string, unknown>> & { readonly syncState?: SyncState };

/** Where a document is held, and which changes its person has seen. */
export interface SyncState {
  readonly scope: string;
  readonly clock: VectorClock;
}

/** Of the field `syncState` in the schema of each replicated collection. It is not required. */
export const syncStateSchema = { type: 'object', additionalProperties: true } as const;

/** Of one collection. */
export interface Replicated {
  readonly entityType: string;
  /** Where new documents go. */
  readonly scope: string;
  /** Of what the app writes. Default: 1. */
  readonly schemaVersion?: number;
  /** The type is append_only: a new document is appended, and never changed. */
  readonly isAppendOnly?: boolean;
}

/** The data of the entity, without its id and what is RxDB's or ours. */
export function dataOf(document: Synced, primaryPath: string): Record<string, unknown> {
  const { syncState: _state, _deleted, _attachments, _meta, _rev, [primaryPath]: _id, ...data } = document;
  return data;
}

/**
 * A document by a state of its entity.
 * @param held as it is held, for a deletion to keep what a schema needs
 */
export function documentOf(
  { entityId, clock, data }: Pick<RemoteDelta, 'entityId' | 'clock' | 'data'>,
  { scope, primaryPath, held = {} }: { scope: string; primaryPath: string; held?: Synced | undefined },
): WithDeleted<Synced> {
  const fields = data ?? dataOf(held, primaryPath);
  return { ...fields, [primaryPath]: entityId, syncState: { scope, clock }, _deleted: data === null };
}

/** What RxDB has of documents, deleted ones as well, by id; `_meta.lwt` is when each was last written. */
export async function readStored(collection: RxCollection<Synced>, ids: readonly string[]) {
  const rows = await collection.storageInstance.findDocumentsById([...ids], true);
  return new Map(rows.map((row) => [String((row as Synced)[collection.schema.primaryPath]), row]));
}
