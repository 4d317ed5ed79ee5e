import type { FailureReason, PhaseKind } from '../engine/state.ts';
import type { Shown } from '../tabs/messages.ts';
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
  /**
   * Writes of this device that could not be read any more, or whose outcome could not, since its store began.
   * What they were is not known. All else that was damaged is pulled anew. One that another tab has in memory
   * still is counted until that tab puts it back. An increment of a document of which only an earlier form is
   * left is counted too.
   */
  readonly lostWrites: number;
  /** Entity types of which there is content of a newer schema than this app knows: it should be updated. */
  readonly newerTypes: readonly string[];
  readonly scopes: readonly ScopeStatus[];
}

/** How far a scope has come on this device. */
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

/** Reads it again after each change. The same objects for as long as nothing in them differs. */
export class StatusReader {
  readonly #local: LocalState;
  #last: SyncStatus | null = null;
  #version = -1;

  constructor(local: LocalState) {
    this.#local = local;
  }

  read({ engine: { phase, lanes }, aheadMs }: Shown): SyncStatus {
    const { outbox } = this.#local.mirror;
    const status: SyncStatus = {
      state: phase.kind,
      reason: 'reason' in phase ? phase.reason : null,
      nextTryAtMs: 'untilMs' in phase ? phase.untilMs - aheadMs : null,
      pending: outbox.queuedCount,
      oldestPendingAt: outbox.oldestQueuedAt,
      pushPausedBy: lanes.push.reason,
      lostWrites: this.#local.lostWrites,
      newerTypes: this.#local.versions.newerTypes,
      scopes: this.#scopes(this.#last?.scopes ?? []),
    };
    if (!this.#last || !hasSameFields(this.#last, status)) this.#last = status;
    return this.#last;
  }

  #scopes(before: readonly ScopeStatus[]): readonly ScopeStatus[] {
    const { scopes } = this.#local.mirror;
    if (scopes.version === this.#version) return before;
    this.#version = scopes.version;
    const known = new Map(before.map((each) => [each.scope, each]));
    const after = [...scopes.values()].flatMap(({ scope, isRevoked, digest, syncedAt, isResyncing }) => {
      if (isRevoked) return [];
      const isDiffering = scopes.differing.has(scope);
      const status = { scope, entities: digest.count, lastSyncedAt: syncedAt, isResyncing, isDiffering };
      const last = known.get(scope);
      return last && hasSameFields(last, status) ? last : status;
    });
    return hasSameFields(before, after) ? before : after;
  }
}

function hasSameFields<T extends object>(one: T, other: T): boolean {
  const [fields, others] = [Object.entries(one), Object.entries(other)];
  return fields.length === others.length && others.every(([, value], at) => fields[at]?.[1] === value);
}
