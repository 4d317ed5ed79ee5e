import type { Tx } from '@sync/postgres';
import type { DocumentOverlaps, PushedMutation } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import type { EntityData, EntityStore, Rejected } from './entity-definition.ts';

/** Keeps the Yjs documents of an entity type; see `keepDocuments` of `@sync/owner-sdk/documents`. The core knows no Yjs. */
export interface DocumentKeeper {
  /** The entities without their documents: what push handlers see. */
  readonly loadPlain: EntityStore['load'];
  /**
   * Begins with a batch, inside its transaction, after the entities' versions were locked.
   * @param entityIds of the batch, whether they exist or not
   */
  open(tx: Tx, tenantId: string, entityType: string, entityIds: readonly string[]): Promise<DocumentSession>;
}

/** A change that the service makes itself, with the dot that its version row counts it under. */
export interface OwnDocumentChange {
  readonly entityId: string;
  readonly data: EntityData;
  readonly replica: string;
  readonly counter: number;
}

/** The data with the document's increment, or why the update is refused. */
export type TakenUpdate =
  { readonly ok: true; readonly data: EntityData } | { readonly ok: false; readonly refusal: Rejected };

/** The documents of one batch, in memory as bytes. Nothing is written before `complete`. */
export interface DocumentSession {
  /**
   * Takes a device's accepted mutation; synchronous, because decisions are.
   * @param data what the handler accepted
   */
  take(mutation: PushedMutation, data: EntityData, isNew: boolean): TakenUpdate;
  /** @throws InvalidChangeError for an update that the document cannot take */
  takeOwn(change: OwnDocumentChange): void;
  /**
   * Merges what was taken, compares it with what the devices had not seen, and writes log, state and backups.
   * @param changed the entities that the batch changed, with the clock that they have now; null data: deleted
   */
  complete(
    tx: Tx,
    changed: ReadonlyMap<string, { readonly data: EntityData | null; readonly clock: VectorClock }>,
  ): Promise<CompletedDocuments>;
}

export interface CompletedDocuments {
  /** The entity's data with its whole document, by entity id. */
  readonly data: ReadonlyMap<string, EntityData>;
  /** What to tell of merges that met others, by mutationId. */
  readonly overlaps: ReadonlyMap<string, DocumentOverlaps>;
}
