import type { ConflictDraft, JsonObject } from '@sync/domain';
import type { Outcome, RegisteredEntityType } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import type { PreparedMutation, Refusal } from '../prepare/prepare-mutation.ts';
import { absentText, type EntityHead } from '../../read-model/entity-head.ts';

/** The device and user whose mutations these are. */
export interface Author {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

/** What was decided about a mutation when it was sent to its owner; see push-decided.sql. */
export interface KeptDecision {
  readonly status: 'applied' | 'merged';
  readonly record: ConflictDraft | null;
}

/** A mutation on its way to its owner. */
export interface Work {
  readonly mutation: PreparedMutation;
  readonly registration: RegisteredEntityType;
  /** Of the stored payload: what it costs to send it. */
  readonly payloadBytes: number;
  /** When it came first; epoch milliseconds. */
  readonly receivedAtMs: number;
  /** Its device had counted from anew before: it may have been restored, and have forgotten changes. */
  readonly mayForget: boolean;
  /**
   * The entity in the mutation's scope as the read model has it; null when it has none (or nobody looked:
   * append_only).
   */
  readonly head: EntityHead | null;
  /** An earlier attempt may have reached the owner without our having its answer. */
  readonly mayBeSent: boolean;
  /** What an earlier attempt decided before it sent it; null when it went as sent, or never. */
  readonly kept: KeptDecision | null;
  /**
   * It may have been sent, and is not to be carried out any more. Its owner says whether it has applied it; if
   * not, it is refused with this, also when it comes later. Null: it is to be carried out.
   */
  readonly refuse: Refusal | null;
  /**
   * Known before anything is decided: it has to wait, and with it what follows in its lane, or it has its
   * end.
   */
  readonly hold: Settlement | null;
  /**
   * The data as the device sent it, where `mutation` has been lifted to the registered schemaVersion since.
   */
  readonly sentData?: JsonObject | null;
}

export type TerminalStatus = Exclude<Outcome['status'], 'accepted'>;

/** A mutation's end. */
export interface Settled {
  readonly kind: 'settled';
  readonly status: TerminalStatus;
  /** On applied and merged. */
  readonly clock?: VectorClock;
  /** Of the entity at its owner after it was applied or merged. */
  readonly revision?: number;
  /** JSON text of a RemoteDelta; on everything but applied. */
  readonly current?: string;
  readonly code?: string;
  readonly message?: string;
  readonly conflict?: { readonly conflictId: string; readonly draft: ConflictDraft };
}

/** Where only the read model can show what a change came to. */
export interface AwaitedRevision {
  /** From which on it does. */
  readonly revision: number;
  /**
   * The owner's answer says that the entity is not in the mutation's scope now: there may be nothing to wait
   * for.
   */
  readonly isElsewhere: boolean;
}

/** A mutation whose merged result only the read model can show. */
export interface AwaitedCurrent extends AwaitedRevision {
  readonly work: Work;
}

/** Why a mutation has to wait; for logs, metrics and the explanation of the admin API. */
export type PostponeReason =
  | 'owner_unavailable'
  /** The owner answered, but without this mutation, or with an error for all that it was sent with. */
  | 'owner_unanswered'
  /** No answer came in time; the owner may still work on it. */
  | 'owner_silent'
  /** Not sent: the owner has as much in hand as it can do, or has just not answered what was in front. */
  | 'owner_busy'
  /** The owner answered, and had no answer for it although it was sent alone: its handler threw. */
  | 'owner_failed'
  /** It has a tag, and nobody says with which keys its device makes them. */
  | 'identity_unavailable'
  /** It brings back what was deleted, and nobody says what that was. */
  | 'projector_unavailable'
  | 'projection_behind'
  /** Its owner has it; what it came to cannot be shown yet. */
  | 'merge_unshown'
  /** It came with more, or larger, entities than are read at once. */
  | 'too_much_at_once'
  | 'contended'
  | 'lane_waits'
  | 'dependency_waits'
  /** A mutation that it depends on has not come. */
  | 'dependency_unknown'
  /** `baseClock` counts a change of its device that has not come. */
  | 'earlier_missing'
  | 'out_of_time';

/** Not now: the dispatcher goes on with it. */
export interface Postponed {
  readonly kind: 'postponed';
  readonly reason: PostponeReason;
  readonly mayBeSent: boolean;
  /** How it will end, once the entity can be shown: of what matches no schema nothing else is kept. */
  readonly refusal?: Refusal;
}

export type Settlement = Settled | Postponed;

/** @param refusal of a mutation that matches no schema */
export function postponed(
  reason: PostponeReason,
  mayBeSent = false,
  refusal: Refusal | null = null,
): Postponed {
  return { kind: 'postponed', reason, mayBeSent, ...(refusal && { refusal }) };
}

/** @param current JSON text of the entity as the device may see it */
export function refused(refusal: Refusal, current: string): Settled {
  return { kind: 'settled', status: 'rejected', code: refusal.code, message: refusal.message, current };
}

/**
 * A refusal with the entity as the device may see it; without one when the mutation does not even name an
 * entity.
 */
export function refusedHere(
  refusal: Refusal,
  address: EntityAddress | null,
  head: EntityHead | null,
  registration: RegisteredEntityType | null,
  nowIso: string,
): Settled {
  if (!address) return { kind: 'settled', status: 'rejected', ...refusal };
  const current = head?.wire ?? absentText(address, registration?.schemaVersion ?? 1, nowIso);
  return refused(refusal, current);
}
