import type { Tx } from '@sync/postgres';
import type { DocumentOverlaps, PushedMutation } from '@sync/protocol';
import type { ChangeDot, VectorClock } from '@sync/vector-clock';
import type { EntityData, EntityStore } from './entity-store.ts';
import type { Rejected } from './handler-answer.ts';

/**
 * Keeps the Yjs documents of an entity type; see `keepDocuments` of `@sync/owner-sdk/documents`. The core
 * knows no Yjs.
 */
export interface DocumentKeeper {
  /** The entities without their documents: what push handlers see. */
  readonly loadPlain: EntityStore['load'];
  /**
   * Begins with a batch, inside its transaction, after the entities' versions were locked.
   * @param entityIds of the batch, whether they exist or not
   * @param pushed of which accepted suggestions are worked out here, as updates of what the documents are now
   */
  open(
    tx: Tx,
    tenantId: string,
    entityType: string,
    entityIds: readonly string[],
    pushed?: readonly PushedMutation[],
  ): Promise<DocumentSession>;
}

/** A change that the service makes itself, with the dot that its version row counts it under. */
export interface OwnDocumentChange {
  readonly entityId: string;
  readonly data: EntityData;
  readonly replica: string;
  readonly counter: number;
}

/** What the event of a change shows: the data with the document, all of it or what the change added. */
export interface ShownDocument {
  readonly data: EntityData;
  readonly isIncrement: boolean;
}

/** What to show, or why the update is refused. */
export type TakenUpdate =
  { readonly ok: true; readonly shown: ShownDocument } | { readonly ok: false; readonly refusal: Rejected };

/**
 * What the batch did to a document cannot be merged for good: to be answered so, mutation by mutation, and
 * never to be tried again.
 */
export class RefusedDocumentError extends Error {
  override readonly name = 'RefusedDocumentError';
  readonly refusal: Rejected;

  constructor(refusal: Rejected) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Other documents are being worked on: nothing was done, and it goes away. */
export class BusyDocumentsError extends Error {
  override readonly name = 'BusyDocumentsError';
}

/** The documents of one batch, in memory as bytes. Nothing is written before `complete`. */
export interface DocumentSession {
  /**
   * Takes a device's accepted mutation; synchronous, because decisions are.
   * @param data what the handler accepted
   * @param dot under which the entity's clock will count it
   */
  take(mutation: PushedMutation, data: EntityData, isNew: boolean, dot: ChangeDot): TakenUpdate;
  /** @throws InvalidChangeError for an update that the document cannot take */
  takeOwn(change: OwnDocumentChange): ShownDocument;
  /**
   * Merges what was taken, compares it with what the devices had not seen, and writes log, state and backups;
   * also what is to be known of updates that were refused.
   * @param changed the entities that the batch changed, with the clock that they have now; null data: deleted
   * @returns what to tell of merges that met others, by mutationId
   * @throws RefusedDocumentError, BusyDocumentsError
   */
  complete(
    tx: Tx,
    changed: ReadonlyMap<string, { readonly data: EntityData | null; readonly clock: VectorClock }>,
  ): Promise<ReadonlyMap<string, DocumentOverlaps>>;
}
