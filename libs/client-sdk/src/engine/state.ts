/**
 * What the engine knows, what happens to it, and what it wants done. All of it is plain data: the shell does
 * the work and tells the engine how it went.
 */
import type { FailureKind } from '../net/transport.ts';

/**
 * Where the device stands with its server, each with its reason. {@link TRANSITIONS} says how it moves on.
 *
 * ```
 *  stopped --start--> connecting --answered--> syncing --at the head--> live
 *     ^                 |  ^  ^                  |  ^                    |
 *     |               fails | time is up       fails +--more to pull-----+
 *   stop                v  |  |                  v                       |
 *  (from all)         backing_off <--------------+--------fails----------+
 *
 *  offline       no network, or the app forbids it;   left when both are there again
 *  needs_auth    no token is good;                    left with a new token, or to try again
 *  revoked       the device is not bound any more;    left by start alone, when it is bound anew
 *  needs_resync  what was stored is lost;             left when the store is empty and sound again
 * ```
 */
export type Phase =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'offline'; readonly reason: 'forced' | 'no_network' }
  | { readonly kind: 'connecting'; readonly reason: ConnectReason }
  | { readonly kind: 'syncing'; readonly reason: SyncReason }
  | { readonly kind: 'live' }
  | { readonly kind: 'backing_off'; readonly reason: FailureReason; readonly untilMs: number }
  | { readonly kind: 'needs_auth'; readonly reason: 'no_valid_token'; readonly untilMs: number }
  | { readonly kind: 'revoked'; readonly reason: 'device_revoked' | 'device_not_bound' }
  | { readonly kind: 'needs_resync'; readonly reason: StorageLoss };
export type PhaseKind = Phase['kind'];
export type PhaseOf<K extends PhaseKind> = Extract<Phase, { kind: K }>;

export type ConnectReason = 'started' | 'network_back' | 'new_token' | 'trying_again' | 'storage_rebuilt';
export type SyncReason = 'first_sync' | 'catching_up' | 'resync';
export type StorageLoss = 'storage_cleared' | 'storage_damaged';
export type FailureReason = FailureKind | 'storage_full' | 'storage_failed' | 'no_progress';

/** What the device does at the same time: one of each. A push that has to wait holds up no pull. */
export const LANES = ['ack', 'push', 'pull'] as const;
export type LaneName = (typeof LANES)[number];

export interface Lane {
  /** There is something to do. */
  readonly isWanted: boolean;
  /** Since when it is being done; null when it is not. */
  readonly busySinceMs: number | null;
  /** Not before. */
  readonly notBeforeMs: number;
  /** How often in a row it has failed. */
  readonly failures: number;
  /** When it last began. */
  readonly startedMs: number;
  /** How often it began soon after it had begun before: one less with each moment without. */
  readonly quickRuns: number;
  readonly reason: FailureReason | null;
}

export interface EngineState {
  readonly phase: Phase;
  readonly lanes: Readonly<Record<LaneName, Lane>>;
  readonly isForcedOffline: boolean;
  readonly hasNetwork: boolean;
  /** A socket says when there is something to pull, so that no pull has to wait for it. */
  readonly hasSocket: boolean;
  /** Everything that was there at the last pull has been pulled. */
  readonly isAtHead: boolean;
  /** The last pull was not the end of what was there: the next one waits for nothing. */
  readonly hasMore: boolean;
  readonly syncReason: SyncReason;
}

export type EngineEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'force_offline' }
  | { readonly kind: 'allow_network' }
  | { readonly kind: 'network_lost' }
  | { readonly kind: 'network_back' }
  /** The outbox has something to push. */
  | { readonly kind: 'wrote' }
  /** Something may be there to pull: a notice of the socket, or the app asks. */
  | { readonly kind: 'hint' }
  /** What came before was told to nobody. */
  | { readonly kind: 'socket_opened' }
  | { readonly kind: 'socket_lost' }
  | { readonly kind: 'done'; readonly lane: LaneName; readonly result: LaneResult; readonly random: number }
  | {
      readonly kind: 'failed';
      readonly lane: LaneName;
      readonly failure: LaneFailure;
      readonly random: number;
    }
  /** The time of a `wake` has come. */
  | { readonly kind: 'woken' }
  | { readonly kind: 'new_token' }
  | { readonly kind: 'storage_lost'; readonly reason: StorageLoss }
  | { readonly kind: 'storage_rebuilt' };
export type EventKind = EngineEvent['kind'];
export type EventOf<K extends EventKind> = Extract<EngineEvent, { kind: K }>;

export interface LaneResult {
  /** Something moved: a cursor, an outcome. Whoever asks again and again without it would spin. */
  readonly hadNews: boolean;
  /** Of a pull: nothing more was there. Of a push: nothing more waits. */
  readonly isComplete: boolean;
  /** There is something to ack now. */
  readonly wantsAck: boolean;
  /**
   * Of a pull that is not complete: its answer was not the end of what was there. Where it was, somebody has
   * said meanwhile that there is something new. As `isComplete` says, unless given.
   */
  readonly hasMore?: boolean;
  /** Of a pull. */
  readonly syncReason?: SyncReason;
}

export interface LaneFailure {
  readonly kind: FailureReason;
  readonly retryAfterMs: number | null;
  /** Whose cursors the server does not take; all, where it does not say. */
  readonly scopes?: readonly string[];
}

export type Effect =
  /** @see LaneName. A pull waits for news for `waitMs`. */
  | { readonly kind: 'run'; readonly lane: LaneName; readonly waitMs: number }
  /** Gives up every request that is on its way. */
  | { readonly kind: 'abort' }
  /** The next `woken`; replaces the one before. */
  | { readonly kind: 'wake'; readonly atMs: number }
  /** Sends less at once from now on; what is refused all by itself is taken out of the outbox. */
  | { readonly kind: 'send_less'; readonly lane: LaneName }
  /** Begins these scopes anew, because the server does not take their cursors: all where it names none. */
  | { readonly kind: 'drop_cursors'; readonly scopes: readonly string[] | null }
  /** Deletes everything that is stored: the device was revoked. */
  | { readonly kind: 'wipe' }
  /** Makes the store empty and sound again, with what can be saved. */
  | { readonly kind: 'rebuild'; readonly reason: StorageLoss };

export interface Step {
  readonly state: EngineState;
  readonly effects: readonly Effect[];
}
