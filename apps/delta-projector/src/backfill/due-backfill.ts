import type { RegisteredEntityType } from '@sync/protocol';

/** Why a type's snapshot is read. */
export type BackfillReason = 'first_seen' | 'schema_changed' | 'pruned' | 'rebuild' | 'reconcile';

/** How far the snapshot of one entity type has been read. */
export interface BackfillProgress {
  readonly entityType: string;
  /** Of the registration that the last run was started under. */
  readonly schemaVersion: number;
  readonly reason: BackfillReason;
  /** Entities that the snapshot does not show are deleted at the end. */
  readonly sweep: boolean;
  /** The type's events come without numbers, so only a comparison finds a lost one. */
  readonly plain: boolean;
  /** Of the next page; null for the first. */
  readonly cursor: string | null;
  readonly done: boolean;
  /** Counts the runs: a page of an earlier run must not move the cursor of a later one. */
  readonly run: number;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

export type DueBackfill =
  | { readonly kind: 'start'; readonly reason: BackfillReason; readonly sweep: boolean }
  | { readonly kind: 'continue' };

/**
 * Decides whether a type's snapshot is to be read now.
 *
 * Any other schema version counts, a lower one too: it changes nothing then, but is noted, so that the next
 * higher one is seen as a change.
 *
 * @param reconcileMs between the end of one comparison of a plain type and the start of the next
 */
export function dueBackfill(
  type: RegisteredEntityType,
  progress: BackfillProgress | undefined,
  nowMs: number,
  reconcileMs: number,
): DueBackfill | null {
  if (progress === undefined) return { kind: 'start', reason: 'first_seen', sweep: false };
  if (progress.schemaVersion !== type.schemaVersion) {
    return { kind: 'start', reason: 'schema_changed', sweep: progress.sweep && !progress.done };
  }
  if (!progress.done) return { kind: 'continue' };
  const isPlain = progress.plain || (type.eventSubjects?.length ?? 0) > 0;
  const restedMs = nowMs - (progress.finishedAt?.getTime() ?? 0);
  return isPlain && restedMs >= reconcileMs ? { kind: 'start', reason: 'reconcile', sweep: true } : null;
}
