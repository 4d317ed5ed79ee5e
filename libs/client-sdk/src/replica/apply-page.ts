import type { PullResponse, RemoteDelta } from '@sync/protocol';
import { hasAll } from './clocks.ts';
import { NOTHING, changeDigest } from './digest.ts';
import { type EntityRow, type ScopeRow, entityKey } from './rows.ts';

/** One scope of a pull's answer. */
export type Page = PullResponse['scopes'][number];

export interface PageResult {
  readonly row: ScopeRow;
  /** As they are stored now, by key, each once. */
  readonly entities: ReadonlyMap<string, EntityRow>;
  /** Increments of documents in the order in which they came. */
  readonly updates: readonly RemoteDelta[];
  /**
   * A full resync is at its end: rows of the scope with a lower generation are to be deleted, in the same
   * transaction.
   */
  readonly endsResync: boolean;
}

/**
 * Applies one page. Its result is stored in one transaction, so that no cursor is ever without its deltas
 * (PULL-1).
 * @param held the rows of the page's entities as they are stored, by {@link entityKey}
 * @param nowIso the time by the device's clock
 */
export function applyPage(
  before: ScopeRow,
  page: Page,
  held: ReadonlyMap<string, EntityRow>,
  nowIso: string,
): PageResult {
  const generation = before.generation + (page.reset ? 1 : 0);
  const entities = new Map<string, EntityRow>();
  const updates: RemoteDelta[] = [];
  let digest = page.reset ? NOTHING : before.digest;
  for (const delta of page.deltas) {
    const key = entityKey(before.scope, delta.entityType, delta.entityId);
    const known = entities.get(key) ?? held.get(key);
    const counted = known?.generation === generation ? known.delta : null;
    digest = changeDigest(digest, counted, delta);
    entities.set(key, applyDelta(before.scope, generation, known, delta));
    if (delta.update !== undefined) updates.push(delta);
  }
  const isHead = !page.hasMore;
  const isResyncing = page.reset || before.isResyncing;
  const row: ScopeRow = {
    ...before,
    cursor: page.cursor,
    generation,
    isResyncing: isResyncing && !isHead,
    digest,
    serverDigest: page.digest ?? null,
    syncedAt: isHead ? nowIso : before.syncedAt,
  };
  return { row, entities, updates, endsResync: isHead && isResyncing };
}

function applyDelta(
  scope: string,
  generation: number,
  known: EntityRow | undefined,
  { update: _stored, ...delta }: RemoteDelta,
): EntityRow {
  const shown = known?.shown && !hasAll(delta.clock, known.shown.clock) ? known.shown : null;
  const { entityType, entityId } = delta;
  return { scope, entityType, entityId, generation, delta, shown };
}
