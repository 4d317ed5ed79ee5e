import type { EngineState, FailureReason, PhaseKind } from '../engine/state.ts';
import type { LocalState } from '../local/local-state.ts';

/** How the device stands, to be shown as it is. */
export interface SyncStatus {
  readonly state: PhaseKind;
  /** Why it is in that state; null for `stopped` and `live`. */
  readonly reason: string | null;
  /** When it tries again by itself, in milliseconds since 1970; null where it waits for something else. */
  readonly nextTryAtMs: number | null;
  /** Writes that the server has not said anything of yet. */
  readonly pending: number;
  /** When the oldest of them was made, as an RFC 3339 time. */
  readonly oldestPendingAt: string | null;
  /** Why pushes pause although pulls go on; null where they do not. */
  readonly pushPausedBy: FailureReason | null;
  readonly scopes: readonly ScopeStatus[];
}

export interface ScopeStatus {
  readonly scope: string;
  /** How many entities have come so far: the progress of a first sync, or of a full resync. */
  readonly entities: number;
  /** Everything was there then, by the device's clock; null during a first sync. */
  readonly lastSyncedAt: string | null;
  readonly isResyncing: boolean;
  /** What is held is not what the server has; it is repaired with one of the next pulls. */
  readonly isDiffering: boolean;
}

/** @param aheadMs by how much the times of the state are before the device's clock */
export function readStatus({ phase, lanes }: EngineState, local: LocalState, aheadMs: number): SyncStatus {
  const differing = new Set(local.differingScopes);
  return {
    state: phase.kind,
    reason: 'reason' in phase ? phase.reason : null,
    nextTryAtMs: 'untilMs' in phase ? phase.untilMs - aheadMs : null,
    pending: local.mirror.queued,
    oldestPendingAt: local.mirror.oldestQueuedAt,
    pushPausedBy: lanes.push.reason,
    scopes: [...local.mirror.scopes.values()]
      .filter(({ isRevoked }) => !isRevoked)
      .map(({ scope, digest, syncedAt, isResyncing }) => ({
        scope,
        entities: digest.count,
        lastSyncedAt: syncedAt,
        isResyncing,
        isDiffering: differing.has(scope),
      })),
  };
}
