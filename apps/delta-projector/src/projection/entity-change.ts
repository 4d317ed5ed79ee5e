import type { EntityHead } from '@sync/domain';

/** What became of one event. A refused one belongs into the dead letters. */
export type EventResult =
  | { readonly kind: 'changed' }
  | { readonly kind: 'stale' }
  /**
   * See `ProjectionResult`; nothing was written, and the entity stands still until its whole document comes.
   */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused'; readonly code: string; readonly cause: string };

/**
 * What a batch does to one entity: from the head before its first event to the head after its last. Only
 * increments of a document are changes of their own, each beginning where the one before it ended, because
 * every one of them has to reach the devices.
 */
export interface EntityChange {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly before: EntityHead | null;
  readonly after: EntityHead;
  /**
   * Scopes that `after` does not have, of `before` or of any head in between. Also those in between are told:
   * a device whose change was answered waits for a delta that contains it, and would wait for ever.
   */
  readonly left: readonly string[];
  /** Whether the entity had a head before the batch. */
  readonly isKnown: boolean;
  /** Whether the scopes of `after` have to hear of it: not where an event came too late to change anything. */
  readonly concernsItsScopes: boolean;
  /** Whether `after` is the head that the batch leaves behind. */
  readonly isLast: boolean;
  /** The document's update, of entity types with a document. */
  readonly update: string | null;
  /** Of entity types with a document: whether the change shows all of it; else null. */
  readonly document: 'whole' | 'increment' | null;
  readonly comparesFields: boolean;
  readonly committedAtMs: number;
}
