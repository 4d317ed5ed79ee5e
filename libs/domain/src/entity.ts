import { MAX_CLOCK_ENTRIES, clockSize, counterOf, deviceReplica, mergeClocks } from '@sync/vector-clock';
import type { ReplicaId, VectorClock } from '@sync/vector-clock';
import type { JsonObject } from './json.ts';

/**
 * What a LocalMutation does. `patch` sets the given top-level fields; only `put` removes fields, by omission.
 */
export type MutationOp = 'put' | 'patch' | 'delete' | 'append' | 'merge';

/** One change, named: number `counter` of replica `by`, made at `atMs` (server time, epoch milliseconds). */
export interface Write {
  readonly atMs: number;
  readonly by: ReplicaId;
  readonly counter: number;
  /**
   * The entity's entry for folded devices once this was counted (see `countChange`); absent: 0. Only of
   * changes by devices.
   */
  readonly folds?: number;
}

/**
 * The last write of a field's value. `removedBy` is set when a later `put` left the field out: the entry
 * stays, so that a write which had not seen the removal is still compared with the value that was removed.
 */
export interface FieldWrite extends Write {
  readonly removedBy?: Write;
  /**
   * Only of the entity itself (`''`): the last deletion before its present life. It removed every field at
   * its time, so it is the last write of each field that has no entry of its own. Null in a decision says
   * that no deletion counts: the mutation made the last one void.
   */
  readonly deletion?: Write | null;
}

/**
 * Per top-level field who wrote its present value and when. The reserved key `''` (`EXISTENCE_FIELD`) is the
 * entity itself: its last creation or, on a deleted entity, its deletion.
 */
export type FieldWrites = Readonly<Record<string, FieldWrite>>;

/** The key in `FieldWrites` under which creation and deletion of the whole entity are recorded. */
export const EXISTENCE_FIELD = '';

/** The server's present state of an entity, as decisions see it. */
export interface EntityState {
  /** The owning service's optimistic-lock version. */
  readonly revision: number;
  readonly clock: VectorClock;
  /** `null` exactly when `deleted`. */
  readonly data: JsonObject | null;
  readonly deleted: boolean;
  /**
   * The data as it was when the entity was deleted, else `null`; also `null` where nobody needs it
   * (`wantsDeletedData`). A concurrent later edit (`patch`) can bring the entity back only with it; once
   * retention has dropped it, such an edit is superseded and recorded instead.
   */
  readonly deletedData: JsonObject | null;
  readonly fieldWrites: FieldWrites;
}

/** A LocalMutation as the decision sees it: validated, its time already corrected (`correctOccurredAtMs`). */
export interface MutationInput {
  readonly mutationId: string;
  readonly deviceId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly op: MutationOp;
  readonly data: JsonObject | null;
  /** A Yjs update (v1), base64; `merge` only. */
  readonly update: string | null;
  readonly baseClock: VectorClock;
  /**
   * Which change of its device it is; absent: one more than `baseClock` counts. It is higher where a device
   * has forgotten changes of its own (it was restored from a backup): it has not seen them, and still needs a
   * number of its own.
   */
  readonly counter?: number;
  readonly occurredAtMs: number;
  readonly schemaVersion: number;
}

/** What a mutation's own clock is made of. */
type Counted = Pick<MutationInput, 'baseClock' | 'deviceId' | 'counter'>;

/** The number of the mutation among the changes of its device. */
export function mutationCounter({ baseClock, deviceId, counter }: Counted): number {
  return counter ?? counterOf(baseClock, deviceReplica(deviceId)) + 1;
}

/**
 * The mutation's own clock: `baseClock` with its device's entry at the mutation's counter. It may have one
 * entry more than the wire takes.
 */
export function mutationClock(mutation: Counted): VectorClock {
  return mergeClocks(mutation.baseClock, { [deviceReplica(mutation.deviceId)]: mutationCounter(mutation) });
}

/** The mutation's own clock where the wire takes it, else the base clock that leaves no room for it. */
export function claimedClock(mutation: Counted): VectorClock {
  const { baseClock, deviceId } = mutation;
  const isNew = counterOf(baseClock, deviceReplica(deviceId)) === 0;
  const full = isNew && clockSize(baseClock) >= MAX_CLOCK_ENTRIES;
  return full || mutationCounter(mutation) > Number.MAX_SAFE_INTEGER ? baseClock : mutationClock(mutation);
}

/** The mutation as a write: the dot that its own clock adds, and its time. */
export function mutationWrite(mutation: Counted & Pick<MutationInput, 'occurredAtMs'>): Write {
  const by = deviceReplica(mutation.deviceId);
  return { atMs: mutation.occurredAtMs, by, counter: mutationCounter(mutation) };
}
