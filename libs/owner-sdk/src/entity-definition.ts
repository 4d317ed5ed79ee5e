import type { MutationOp, UpcastStep } from '@sync/domain';
import type { EntityTypeRegistration, PushedMutation } from '@sync/protocol';
import type { DocumentKeeper } from './document-port.ts';
import type { EntityData, EntityStore } from './entity-store.ts';
import type { HandlerAnswer } from './handler-answer.ts';

/** Whose mutation it is, and when: everything a handler may know besides the mutation and the entity. */
export interface HandlerContext {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  /**
   * Time of this batch, RFC 3339; handlers read no clock of their own, so that the same input gives the same
   * answer.
   */
  readonly nowIso: string;
}

/**
 * The business rule of one entity type: decides one mutation. Pure and synchronous; a batch calls it once per
 * mutation, in order, each call seeing the effect of the one before.
 *
 * @param mutation `data` is a whole entity (`put`, `append`), some fields (`patch`) or null (`delete`);
 *   `update` a Yjs update (`merge`). See {@link mutatedData}.
 * @param current the entity now, null when there is none
 * @throws anything: the mutation stays unanswered, is logged, and comes again with growing pauses; after 20
 *   times over a day it is refused (`owner_failed`) and kept in an open ConflictRecord. Use {@link reject}
 *   for a final no
 */
export type PushHandlerFunction = (
  mutation: PushedMutation,
  current: EntityData | null,
  context: HandlerContext,
) => HandlerAnswer;

/** Whose data is lifted. A patch names some fields only. */
export interface UpcastContext {
  readonly tenantId: string;
  readonly mutationId: string;
  readonly op: MutationOp;
}

/** Answers `accept(data)` with what the next version writes, or `reject` for what it has no way to say. */
export type UpcastFunction = (data: EntityData, context: UpcastContext) => HandlerAnswer;

/**
 * Lifts mutations of version `from` to `from + 1`: by steps that sync-service takes itself, or by a function
 * of the service's, which it is asked for. `upcast` is pure and synchronous like a push handler; a mutation
 * for which it throws waits.
 */
export type EntityUpcaster =
  | { readonly from: number; readonly steps: readonly UpcastStep[] }
  | { readonly from: number; readonly upcast: UpcastFunction };

/** One entity type: what sync-service is told (EntityTypeRegistration), the push handler and the store. */
export interface EntityDefinition
  extends
    Omit<
      EntityTypeRegistration,
      | 'eventSubjects'
      | 'pushSubject'
      | 'pushChains'
      | 'pushShares'
      | 'pushRefuses'
      | 'snapshotSubject'
      | 'upcasters'
    >,
    EntityStore {
  readonly handle: PushHandlerFunction;
  /** crdt_yjs: keeps the documents; set by `KeptDocuments.define` of `@sync/owner-sdk/documents`. */
  readonly documents?: DocumentKeeper;
  /**
   * How mutations that wait in the outboxes of older apps become mutations of `schemaVersion`: one per
   * version, without a gap.
   */
  readonly upcasters?: readonly EntityUpcaster[];
  /**
   * append_only: says whether an entity sent again under its id is the stored one (then answered as applied)
   * or another (rejected, `entity_exists`). Asked only about what the SDK does not know again by itself: it
   * compares what the same user sent, so that nothing that `handle` fills in counts. Deep equality when not
   * given.
   */
  readonly sameContent?: (stored: EntityData, sent: EntityData) => boolean;
}

/** @throws TypeError when a name cannot be registered, so that a typing error shows at start */
export function defineEntity(definition: EntityDefinition): EntityDefinition {
  if (!/^[a-z][a-z0-9_-]{0,63}$/.test(definition.entityType)) {
    throw new TypeError(
      `entityType ${JSON.stringify(definition.entityType)} must match ^[a-z][a-z0-9_-]{0,63}$`,
    );
  }
  return definition;
}

/**
 * The entity that a mutation asks for: `put` and `append` bring all of it, `patch` sets fields of the current
 * one, `delete` leaves nothing.
 * @param optional fields that an entity need not have and that take no null: there a null that was sent means
 *   that the field is gone. Without them null is a value like any other, and whoever refuses it refuses all
 *   that came with it
 * @returns null for `delete`
 */
export function mutatedData(
  mutation: Pick<PushedMutation, 'op' | 'data'>,
  current: EntityData | null,
  optional: readonly string[] = [],
): EntityData | null {
  if (mutation.op === 'delete') return null;
  const sent: EntityData = mutation.data ?? {};
  const data = mutation.op === 'patch' ? { ...current, ...sent } : sent;
  const gone = optional.filter((field) => Object.hasOwn(sent, field) && sent[field] === null);
  if (gone.length === 0) return data;
  return Object.fromEntries(Object.entries(data).filter(([field]) => !gone.includes(field)));
}
