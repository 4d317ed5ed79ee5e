import type { ClientOwner, LoggedUpdate, StoredDocument } from '@sync/documents';
import type { JsonObject, MergeReport, MutationOp } from '@sync/domain';
import type { ChangeDot, VectorClock } from '@sync/vector-clock';
import type { TestData } from './entity-types.ts';

/** A document with everything that later changes of it are judged by. */
export interface KeptDocument extends StoredDocument {
  /** Of the present epoch: what it began with, and every change since. */
  readonly begun: Uint8Array;
  readonly log: readonly LoggedUpdate[];
  /** Who writes under which clientID. */
  readonly owners: ReadonlyMap<number, ClientOwner>;
  /** Its entity was deleted; made again, it begins a new epoch. */
  readonly isGone: boolean;
}

/** A device's mutation, as far as documents go. */
export interface DocumentMutation {
  readonly mutationId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly op: MutationOp;
  /** base64 */
  readonly update: string | null;
  readonly baseClock: VectorClock;
}

/** A change of an entity that has a document. */
export interface DocumentChange {
  /** What the entity becomes; of a service’s own change with a document or an update in its field. */
  readonly data: TestData;
  /** How the entity’s clock counts the change. */
  readonly dot: ChangeDot;
  /** Null: a service makes it by itself. */
  readonly mutation: DocumentMutation | null;
}

/** What became of the change. */
export type TakenChange =
  | {
      readonly kind: 'taken';
      readonly document: KeptDocument;
      /** The entity with what the change added to the document, and with all of it. */
      readonly increment: JsonObject;
      readonly whole: JsonObject;
      /** Nobody who has the document before can go on with the increment: it began anew. */
      readonly begins: boolean;
      /** What the change met that its device had not seen; null: nothing. */
      readonly met: MergeReport | null;
    }
  | {
      readonly kind: 'rejected';
      readonly code: string;
      readonly message: string;
      /** As it is to be kept all the same. */
      readonly document: KeptDocument | null;
    };

/** Keeps the Yjs documents of an entity type: `keepDocuments` of `@sync/client-testing/yjs` makes it. */
export interface DocumentKeeper {
  /** Of an entity’s data: where the document is, and its epoch. */
  readonly field: string;
  readonly epochField: string;
  /**
   * Judges a change, and takes it unless it is refused.
   * @param before null: there never was one
   */
  take(before: KeptDocument | null, change: DocumentChange): TakenChange;
  /** What is left of the document of a deleted entity. */
  remove(before: KeptDocument): KeptDocument;
  /**
   * Whether a pull may send this as what its device has.
   * @param stateVector base64
   */
  isStateVector(stateVector: string): boolean;
  /** What is missing of an update to a device with this state vector. All three are base64. */
  difference(update: string, stateVector: string): string;
}
