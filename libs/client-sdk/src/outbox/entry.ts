/**
 * A mutation on its device, from the write until nothing of it is left to do. Each arrow is stored before
 * anybody acts on it.
 *
 * ```
 *            accepted             applied
 *  queued ----------> accepted -------------> stands --+
 *    | |                 |                             |  acked, and no part of the view needs it:
 *    | +-----------------+------applied--> stands      +-> leaves the outbox
 *    |    merged, superseded, rejected, conflict       |
 *    +-------------------+---------------> settled ----+
 * ```
 *
 * | state      | pushed again        | shown                                     |
 * | ---------- | ------------------- | ----------------------------------------- |
 * | `queued`   | until it has outcome| until a delta contains it                 |
 * | `accepted` | no                  | until a delta contains it                 |
 * | `stands`   | no                  | until a delta contains it                 |
 * | `settled`  | no                  | no: `current` of its outcome says what is |
 *
 * The delta may come before the outcome; then `isContained` hides the mutation and it goes on as it is. The
 * increment of a document that was `merged` stands: what its outcome shows has no document in it (PULL-16).
 */
import type { LocalMutation, Outcome, RemoteDelta } from '@sync/protocol';
import { type ReplicaId, counterOf } from '@sync/vector-clock';
import { isFoldedSince } from '../replica/clocks.ts';
import { keyOf } from '../storage/store.ts';

export const ENTRY_STATES = ['queued', 'accepted', 'stands', 'settled'] as const;
export type EntryState = (typeof ENTRY_STATES)[number];

/** Of table `outbox`, by {@link outboxKey}. */
export interface OutboxEntry {
  readonly mutation: LocalMutation;
  readonly state: EntryState;
  /** The last that came, without `current`. */
  readonly outcome: Outcome | null;
  /** Of its scope, when its terminal outcome came: a later full resync brings whatever came of it. */
  readonly generation: number | null;
  /** When its terminal outcome came, by the device's clock. */
  readonly settledAt: string | null;
  /** A delta of its entity has its dot. */
  readonly isContained: boolean;
  /** The server knows that its terminal outcome is stored. */
  readonly isAcked: boolean;
  /** Of the document that it is an increment of; none where the device did not know it. */
  readonly epoch?: number | undefined;
}

/** In the order of `sequence`, which is the order of writing. */
export function outboxKey(sequence: number): string {
  return String(sequence).padStart(16, '0');
}

/**
 * The counter of a store that counts the changes which this device has made of an entity, also of one that it
 * does not hold any more.
 */
export function ownCounter({ entityType, entityId }: Pick<LocalMutation, 'entityType' | 'entityId'>): string {
  return keyOf('own', entityType, entityId);
}

/** @param epoch of the document that it is an increment of */
export function queuedEntry(mutation: LocalMutation, epoch?: number): OutboxEntry {
  return {
    mutation,
    state: 'queued',
    outcome: null,
    generation: null,
    settledAt: null,
    isContained: false,
    isAcked: false,
    epoch,
  };
}

const STATE_AFTER: Readonly<Record<Outcome['status'], EntryState>> = {
  accepted: 'accepted',
  applied: 'stands',
  merged: 'settled',
  superseded: 'settled',
  rejected: 'settled',
  conflict: 'settled',
};

/**
 * The first terminal outcome counts: a mutation has one (PUSH-2). One that comes again is acked again.
 * @param generation of its scope
 * @param nowIso the time by the device's clock
 */
export function withOutcome(
  entry: OutboxEntry,
  { current: _shown, ...outcome }: Outcome,
  generation: number,
  nowIso: string,
): OutboxEntry {
  if (isTerminal(entry)) return { ...entry, isAcked: false };
  const isIncrement = entry.mutation.op === 'merge' && outcome.status === 'merged';
  const next = { ...entry, state: isIncrement ? 'stands' : STATE_AFTER[outcome.status], outcome };
  return isTerminal(next) ? { ...next, generation, settledAt: nowIso } : next;
}

/** As it is when the device was revoked: it leaves the outbox, whatever becomes of it. */
export function givenUp(entry: OutboxEntry): OutboxEntry {
  const { mutationId } = entry.mutation;
  const outcome: Outcome = { mutationId, status: 'rejected', code: 'device_revoked' };
  const ended = isTerminal(entry) ? entry : { ...entry, state: 'settled' as const, outcome };
  return { ...ended, isContained: true, isAcked: true };
}

/**
 * As it left the outbox while this tab did not look.
 * @param outcome what is kept of it for the app; null where nothing is, because it came to stand
 */
export function endedElsewhere(entry: OutboxEntry, outcome: Outcome | null): OutboxEntry {
  const { mutationId } = entry.mutation;
  const last = outcome ?? { mutationId, status: 'applied' as const };
  const ended = isTerminal(entry) ? entry : { ...entry, state: STATE_AFTER[last.status], outcome: last };
  return { ...ended, isContained: true, isAcked: true };
}

/** No delta of a change that stands takes so long, unless there is none: see {@link isOverdue}. */
const CONFIRMED_WITHIN_MS = 60_000;

/**
 * Whether the server says that the mutation stands, and brings no delta that has it. That happens where
 * others have deleted the entity since, and the scope was begun anew before the device knew its outcome: a
 * resync tells nothing of deletions (PULL-3). Another resync shows what there is.
 */
export function isOverdue({ state, isContained, settledAt }: OutboxEntry, nowIso: string): boolean {
  return state === 'stands' && !isContained && settledAt !== null && isLongAgo(settledAt, nowIso);
}

/** Whether a delta of what an outcome has said then would be here by now, if there was one. */
export function isLongAgo(thenIso: string, nowIso: string): boolean {
  // Either way: the clock may have been set back since.
  return Math.abs(Date.parse(nowIso) - Date.parse(thenIso)) > CONFIRMED_WITHIN_MS;
}

export function isTerminal({ state }: OutboxEntry): boolean {
  return state === 'stands' || state === 'settled';
}

/** Whether the device shows the mutation over what it has of its entity. */
export function isShown({ state, isContained }: OutboxEntry): boolean {
  return state !== 'settled' && !isContained;
}

/** Whether nothing is left to do: it may leave the outbox. */
export function isDone(entry: OutboxEntry): boolean {
  return isTerminal(entry) && entry.isAcked && !isShown(entry);
}

/**
 * Whether a state of the entity, as it was pulled, has the mutation in it (CLOCK-4).
 * @param own the replica id of this device
 */
export function isContainedIn(
  { mutation, state, outcome }: OutboxEntry,
  delta: RemoteDelta,
  own: ReplicaId,
): boolean {
  // A device that was restored from a backup gets another number than it counted (PUSH-18).
  const counted = outcome?.clock ? counterOf(outcome.clock, own) : 0;
  const counter = counted || counterOf(mutation.baseClock ?? {}, own) + 1;
  if (counterOf(delta.clock, own) >= counter) return true;
  return state === 'stands' && isFoldedSince(delta.clock, outcome?.clock ?? {});
}
