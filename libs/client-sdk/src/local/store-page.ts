/** Stores the pages of pulls, each with its cursor; the last one of a full resync without what was before. */
import { type OutboxEntry, isContainedIn, isDone, isLongAgo, isOverdue } from '../outbox/entry.ts';
import { type Page, type PageResult, applyPage } from '../replica/apply-page.ts';
import { type EntityRow, type ScopeRow, entityKey, freshScope } from '../replica/rows.ts';
import { keyOf } from '../storage/store.ts';
import { documentChanges, documentRows, oldDocuments } from './document-changes.ts';
import type { LocalState } from './local-state.ts';
import type { Place } from './outbox-index.ts';
import { entityPuts, oldPages, ownRow } from './stored-entities.ts';
import { entryAddress, entryPut, scopePut } from './stored-rows.ts';

/**
 * @param from the cursor that was asked with
 * @returns whether it brought anything
 */
export async function storePage(
  local: LocalState,
  from: string | null,
  page: Page,
  nowIso: string,
): Promise<boolean> {
  return local.exclusively(async () => {
    const before = local.mirror.scopes.get(page.scope) ?? freshScope(page.scope);
    // It does not continue what is stored: the scope was begun anew, or taken away, since it was asked for.
    if (before.isRevoked || (!page.reset && before.cursor !== from)) return false;
    const held = await heldRows(local, before, page.deltas);
    const result = applyPage(before, page, held, nowIso);
    const { entities, endsResync } = result;
    const old = endsResync && result.row.generation > 1 ? await oldParts(local, before, result) : NOTHING_OLD;
    const keptSince = old.hasKept ? nowIso : null;
    const row = endsResync ? { ...result.row, keptSince } : result.row;
    const entries = containedEntries(local, result, nowIso);
    const documents = documentChanges(page, before, held);
    await local.commitAsLeader({
      deletePrefixes: [...documents.deletePrefixes, ...old.deletePrefixes],
      deletes: [...old.deletes, ...entries.filter(isDone).map(entryAddress)],
      puts: [
        scopePut(row),
        ...entityPuts(entities.values()),
        ...documents.puts,
        ...entries.filter((entry) => !isDone(entry)).map(entryPut),
      ],
    });
    local.mirror.scopes.set(page.scope, row);
    for (const each of entities.values()) local.mirror.setRow(each);
    local.entities.note(entities.values());
    if (endsResync) {
      const isOld = (each: EntityRow): boolean => each.generation < row.generation && !isKept(each, before);
      local.mirror.dropRows(page.scope, isOld);
      local.entities.forget();
    }
    for (const entry of entries) local.mirror.setEntry(entry);
    // That there is more, or that it begins anew, is no news: who says so for ever would be asked for ever.
    // Neither is a page that has come before.
    return (
      (page.deltas.length > 0 && page.cursor !== from) ||
      (before.serverDigest === null && row.serverDigest !== null)
    );
  });
}

/** @returns what is stored of these entities, by {@link entityKey} */
export async function heldRows(
  local: LocalState,
  scopeRow: ScopeRow,
  places: Iterable<Place>,
): Promise<Map<string, EntityRow>> {
  const held = new Map<string, EntityRow>();
  const unknown: Place[] = [];
  for (const place of places) {
    if (!local.mirror.isLoaded(place.entityType)) unknown.push(place);
    const row = local.mirror.rowIn(scopeRow.scope, place);
    if (row) held.set(keyOfRow(row), row);
  }
  if (unknown.length === 0) return held;
  return new Map([...held, ...(await local.entities.find(scopeRow, unknown))]);
}

const NOTHING_OLD = { deletePrefixes: [], deletes: [], hasKept: false };

/**
 * An outcome has shown it, and the resync has not brought it: its pages may have been read before. It stays
 * until a delta of it comes, or has had the time for it: see {@link dropKept}. What the resync before has
 * left like this does not stay twice.
 */
function isKept({ shown, generation }: Pick<EntityRow, 'shown' | 'generation'>, before: ScopeRow): boolean {
  return shown !== null && generation >= before.oldestGeneration;
}

/** What goes when a full resync has come to its end: all that it did not bring again. */
async function oldParts(local: LocalState, before: ScopeRow, { row, entities, updates }: PageResult) {
  const { scope, generation } = row;
  const own = (await rowsBefore(local, row)).filter(({ key }) => !entities.has(key));
  const kept = new Set(own.flatMap(({ key, row: each }) => (isKept(each, before) ? [key] : [])));
  const stored = await documentRows(local.store, scope);
  const held = await heldRows(local, before, stored.values());
  const isHeld = (key: string): boolean =>
    entities.has(key) || kept.has(key) || held.get(key)?.generation === generation;
  const added = new Set(updates.map((each) => entityKey(scope, each.entityType, each.entityId)));
  return {
    deletePrefixes: oldPages(before, generation),
    deletes: [
      ...own.filter(({ key }) => !kept.has(key)).map(({ key }) => ({ table: 'entity', key }) as const),
      ...oldDocuments(stored, row, isHeld, added),
    ],
    hasKept: kept.size > 0,
  };
}

/** Rows of their own from before the present generation. */
async function rowsBefore(local: LocalState, { scope, generation }: ScopeRow) {
  const rows = await local.store.list('entity', keyOf(scope));
  return rows
    .map(({ key, value }) => ({ key, row: ownRow(key, value) }))
    .filter(({ row }) => row.generation < generation);
}

/** What an outcome has shown before a full resync, and no delta has come of since its end, for a while. */
export async function dropKept(local: LocalState, nowIso: string): Promise<void> {
  const isDue = ({ keptSince, serverDigest }: ScopeRow): boolean =>
    // It is null in rows of earlier versions of the app as well, or not there.
    typeof keptSince === 'string' && serverDigest !== null && isLongAgo(keptSince, nowIso);
  for (const { scope } of [...local.mirror.scopes.values()].filter(isDue)) {
    await local.exclusively(async () => {
      const before = local.mirror.scopes.get(scope);
      if (!before || !isDue(before)) return;
      const row = { ...before, keptSince: null };
      const own = await rowsBefore(local, row);
      await local.commitAsLeader({
        deletePrefixes: own.map(({ key }) => ({ table: 'document', prefix: key })),
        deletes: own.map(({ key }) => ({ table: 'entity', key })),
        puts: [scopePut(row)],
      });
      local.mirror.scopes.set(scope, row);
      local.mirror.dropRows(scope, ({ generation }) => generation < row.generation);
      local.entities.forget();
    });
  }
}

/**
 * Mutations that the page confirms. At the end of a resync also those that no delta will ever have, because
 * others have deleted the entity since. That it has not come says so only after a while: the answer may be
 * older than the outcome, and so may the server's read model.
 */
function containedEntries(
  local: LocalState,
  { row, entities, endsResync }: PageResult,
  nowIso: string,
): OutboxEntry[] {
  const found = new Map<number, OutboxEntry>();
  const { outbox } = local.mirror;
  if (outbox.size === 0) return [];
  for (const place of entities.values()) {
    for (const entry of outbox.ofPlace(place)) {
      if (entry.isContained || !place.delta || !isContainedIn(entry, place.delta, local.own)) continue;
      found.set(entry.mutation.sequence, { ...entry, isContained: true });
    }
  }
  if (!endsResync) return [...found.values()];
  for (const entry of outbox.unconfirmedIn(row.scope)) {
    const isOlder = entry.generation !== null && entry.generation < row.generation;
    if (isOlder && isOverdue(entry, nowIso))
      found.set(entry.mutation.sequence, { ...entry, isContained: true });
  }
  return [...found.values()];
}

function keyOfRow({ scope, entityType, entityId }: EntityRow): string {
  return entityKey(scope, entityType, entityId);
}
