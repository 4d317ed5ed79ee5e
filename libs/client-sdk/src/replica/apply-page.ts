import type { PullResponse, RemoteDelta } from '@sync/protocol';
import { hasAll } from './clocks.ts';
import { DigestSum, NOTHING } from './digest.ts';
import { type EntityRow, type ScopeRow, entityKey, pageKey } from './rows.ts';

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
  const isResyncing = page.reset || before.isResyncing;
  const entities = new Map<string, EntityRow>();
  const pages = new Map<string, string>();
  const updates: RemoteDelta[] = [];
  const sum = new DigestSum(page.reset ? NOTHING : before.digest);
  for (const delta of page.deltas) {
    const { entityType } = delta;
    const key = entityKey(before.scope, entityType, delta.entityId);
    const known = entities.get(key) ?? held.get(key);
    sum.change(known?.generation === generation ? known.delta : null, delta);
    if (!pages.has(entityType)) {
      pages.set(entityType, pageKey(before.scope, generation, entityType, before.nextPage));
    }
    // What has a row of its own keeps it: that is the one which is read.
    const isPaged = isResyncing && known?.page !== null;
    const shown = known?.shown && !hasAll(delta.clock, known.shown.clock) ? known.shown : null;
    entities.set(key, {
      scope: before.scope,
      entityType,
      entityId: delta.entityId,
      generation,
      delta: withoutUpdate(delta),
      shown,
      page: isPaged ? (pages.get(entityType) ?? null) : null,
    });
    if (delta.update !== undefined) updates.push(delta);
  }
  const isHead = !page.hasMore;
  const endsResync = isHead && isResyncing;
  const row: ScopeRow = {
    ...before,
    cursor: page.cursor,
    generation,
    isResyncing: isResyncing && !isHead,
    digest: sum.digest,
    serverDigest: page.digest ?? null,
    syncedAt: isHead ? nowIso : before.syncedAt,
    nextUpdate: before.nextUpdate + updates.length,
    firstUpdate: page.reset ? before.nextUpdate : before.firstUpdate,
    nextPage: before.nextPage + (isResyncing ? 1 : 0),
    oldestGeneration: endsResync ? generation : before.oldestGeneration,
  };
  return { row, entities, updates, endsResync };
}

/** Increments have a table of their own. */
function withoutUpdate(delta: RemoteDelta): RemoteDelta {
  if (delta.update === undefined) return delta;
  const { update: _stored, ...rest } = delta;
  return rest;
}
