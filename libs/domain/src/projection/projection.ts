import type { VectorClock } from '@sync/vector-clock';
import type { EntityState, FieldWrites } from '../entity.ts';
import type { ConflictPolicy } from '../conflict/policies.ts';
import type { JsonObject, JsonValue } from '../json.ts';

/** A change of an entity that its owning service published (a domain event, or a row of its snapshot). */
export interface DomainChange {
  readonly entityType: string;
  readonly entityId: string;
  /** The owner's optimistic-lock version; grows with every change. */
  readonly revision: number;
  readonly op: 'put' | 'delete';
  /** The whole entity after the change; `null` for a delete. */
  readonly data: JsonObject | null;
  /** The entity's clock, when the owner keeps one. */
  readonly clock: VectorClock | null;
  /** The clock and device of the mutation that caused the change, if one did. */
  readonly mutationClock: VectorClock | null;
  readonly mutationDeviceId: string | null;
  readonly occurredAtMs: number;
  /** The owning service's name. */
  readonly service: string;
  /** The Yjs update (v1, base64) that the change consists of; crdt_yjs only. */
  readonly update: string | null;
  /** The document is shown as what this change added to it, and not as a whole. Default false. */
  readonly isIncrement?: boolean;
  /**
   * `SubmitDecision.fieldWrites` of the decision that caused the change, when the owner passes it on. Without
   * it, writers are inferred from what changed in the data (see `recordFieldWrites`).
   */
  readonly decidedWrites?: FieldWrites | null;
}

/** While the entity's data satisfies `when`, the rendered user holds the rendered scope. */
export interface GrantRule {
  /** Scope template, `course:{courseId}`. */
  readonly scope: string;
  /** User template, `{userId}`. */
  readonly user: string;
  /** Field (a path, dots between names) and the values among which it must be; absent: always. */
  readonly when?: { readonly field: string; readonly in: readonly JsonValue[] };
}

/** How an entity type is projected; declared in its SyncRegistration. */
export interface ProjectionRule {
  readonly schemaVersion: number;
  readonly policy: ConflictPolicy;
  /** The top-level fields that devices get; `'*'` for all. */
  readonly fields: '*' | readonly string[];
  /** Scope templates. */
  readonly scopes: readonly string[];
  readonly grants: readonly GrantRule[];
  /**
   * The data field that holds a document's update, for owners that send it there: it is taken out of the data
   * and becomes the delta's `update`.
   */
  readonly docUpdateField: string | null;
}

/** That a user holds a scope because of this entity. */
export interface ScopeGrant {
  readonly scope: string;
  readonly userId: string;
}

/** What the projector keeps per entity. It is the `EntityState` of decisions, and where the entity went. */
export interface EntityHead extends EntityState {
  readonly schemaVersion: number;
  /** Sorted by code point, without repetition. */
  readonly scopes: readonly string[];
  /**
   * Of a deleted entity: the scopes that it was deleted in, like `scopes`. Whoever deletes it once more is
   * told so there.
   */
  readonly leftScopes: readonly string[];
  /** Sorted by scope, then user, without repetition. */
  readonly grants: readonly ScopeGrant[];
}

/** A RemoteDelta of one scope before it has a position; clock and schema version are the head's. */
export interface DeltaDraft {
  readonly scope: string;
  readonly op: 'put' | 'delete' | 'merge';
  readonly data: JsonObject | null;
  readonly update: string | null;
}

/** Why an event cannot be projected. */
export type PoisonCode =
  | 'revision_invalid'
  | 'data_not_object'
  | 'template_invalid'
  | 'scope_unrenderable'
  | 'grant_unrenderable'
  | 'clock_limit_exceeded';

/** What one event does to its entity. */
export type ProjectionResult =
  /** The head is already there or further. */
  | { readonly kind: 'stale' }
  /**
   * The head is further, and the event shows scopes of which the head does not know that the entity was there:
   * a later event came first. Whoever was answered for the older change waits in these scopes to hear what
   * became of the entity. Nothing else changes; `head` has them in `leftScopes` where it is deleted.
   */
  | { readonly kind: 'overtaken'; readonly head: EntityHead; readonly left: readonly string[] }
  /**
   * An increment, and somebody who is to get it has not got all of the document before: only the whole one
   * will do.
   */
  | { readonly kind: 'incomplete' }
  | {
      readonly kind: 'changed';
      readonly head: EntityHead;
      /** Sorted by scope, so that scope heads are locked in one order by everybody. */
      readonly deltas: readonly DeltaDraft[];
      /** The scopes that the entity was not in before: their devices have never seen it. */
      readonly entered: readonly string[];
      readonly granted: readonly ScopeGrant[];
      readonly revoked: readonly ScopeGrant[];
    }
  /**
   * For the dead letters; `path` is a JSON Pointer into the event or the rule (`/data`, `/rule/scopes/0`).
   */
  | { readonly kind: 'poison'; readonly code: PoisonCode; readonly path: string };
