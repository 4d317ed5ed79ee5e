/** What the answers of the server change on the device: each part in one transaction. */
import type { Outcome, PullRequest, PullResponse, PushResponse, RemoteDelta } from '@sync/protocol';
import { type OutboxEntry, isContainedIn, isDone, isOverdue, withOutcome } from '../outbox/entry.ts';
import { hasAll } from '../replica/clocks.ts';
import { type Page, type PageResult, applyPage } from '../replica/apply-page.ts';
import { type EntityRow, type ScopeRow, entityKey, freshScope } from '../replica/rows.ts';
import { type Commit, type StoredValue, type TableName, keyOf } from '../storage/store.ts';
import { documentChanges, documentRows, oldDocuments } from './document-changes.ts';
import type { LocalState } from './local-state.ts';
import type { Place } from './outbox-index.ts';
import { OF_SCOPE, entityPuts, oldPages } from './stored-entities.ts';
import { entryAddress, entryPut, scopePut } from './stored-rows.ts';

/** A mutation that did not simply come to stand, for the app to see until it says that it has. */
export interface OutcomeRow {
  readonly outcome: Outcome;
  /** Null where the device does not know it any more. */
  readonly mutation: OutboxEntry['mutation'] | null;
  /** By the device's clock. */
  readonly at: string;
}

export interface PullStored {
  readonly hadNews: boolean;
  /** Each asked scope was at its head. */
  readonly isComplete: boolean;
  /** Scopes of which this was a part of a full resync that was not their first one. */
  readonly isResync: boolean;
  /** A scope has never been at its head. */
  readonly isFirstSync: boolean;
}

/**
 * Stores an answer of a pull: pages one by one, each with its cursor, then outcomes, then what was granted
 * and taken away.
 * @param asked as the request had them
 * @param nowIso the time by the device's clock
 * @throws NotLeadingError, StorageError; what was stored by then stays, and comes no second time
 */
export async function storePull(
  local: LocalState,
  asked: PullRequest['scopes'],
  answer: PullResponse,
  nowIso: string,
): Promise<PullStored> {
  const wasSynced = new Map([...local.mirror.scopes].map(([scope, row]) => [scope, row.syncedAt !== null]));
  let hadNews = false;
  for (const page of answer.scopes) {
    const from = asked?.find(({ scope }) => scope === page.scope)?.cursor ?? null;
    hadNews = (await storePage(local, from, page, nowIso)) || hadNews;
  }
  hadNews = (await storeOutcomes(local, answer.outcomes, nowIso)) || hadNews;
  for (const scope of answer.revoked) hadNews = (await purgeScope(local, scope)) || hadNews;
  hadNews = (await addScopes(local, answer.granted ?? [])) || hadNews;
  await letUnheldGo(local, nowIso);
  const served = new Set(answer.scopes.flatMap(({ scope, reset }) => (reset ? [scope] : [])));
  const told = answer.directives.flatMap(({ kind, scopes }) =>
    // A kind that this version does not know is ignored (PULL-17).
    (kind as string) === 'full_resync' ? scopes.filter((scope) => !served.has(scope)) : [],
  );
  const anew = [...new Set([...told, ...overdueScopes(local, nowIso)])];
  const due = anew.filter((scope) => local.mayResync(scope, Date.parse(nowIso)));
  if (due.length > 0) await local.dropCursors(due);
  local.mirror.announce();
  const rows = [...local.mirror.scopes.values()].filter(({ isRevoked }) => !isRevoked);
  return {
    hadNews,
    isComplete: local.hasAsked,
    isResync: rows.some(({ scope, isResyncing }) => isResyncing && wasSynced.get(scope)),
    isFirstSync: rows.some(({ syncedAt }) => syncedAt === null),
  };
}

/**
 * Changes that stand in a scope which the user does not hold (any more): no delta of it will ever have them.
 * One that is not known at all may be granted yet, and is given time.
 */
async function letUnheldGo(local: LocalState, nowIso: string): Promise<void> {
  const { scopes, outbox } = local.mirror;
  const isUnheld = (scope: string): boolean => scopes.get(scope)?.isRevoked ?? true;
  if (![...outbox.unconfirmedScopes()].some(isUnheld)) return;
  await local.exclusively(async () => {
    const entries = [...outbox.unconfirmedScopes()].filter(isUnheld).flatMap((scope) => {
      const all = [...outbox.unconfirmedIn(scope)];
      return scopes.has(scope) ? all : all.filter((entry) => isOverdue(entry, nowIso));
    });
    if (entries.length > 0) await letGo(local, entries);
  });
}

/** Nothing more is to come of these changes, which stand. */
async function letGo(local: LocalState, standing: readonly OutboxEntry[], change: Commit = {}) {
  const entries = standing.map((entry) => ({ ...entry, isContained: true }));
  await local.commitAsLeader({
    ...change,
    deletes: entries.filter(isDone).map(entryAddress),
    puts: [...(change.puts ?? []), ...entries.filter((entry) => !isDone(entry)).map(entryPut)],
  });
  for (const entry of entries) local.mirror.setEntry(entry);
}

/**
 * Scopes that have everything that there was, and not what the server says of a mutation. The first outcome
 * of each counts: a resync is for all of them.
 */
function overdueScopes({ mirror: { scopes, outbox } }: LocalState, nowIso: string): string[] {
  return [...outbox.unconfirmedScopes()].filter((scope) => {
    const [oldest] = outbox.unconfirmedIn(scope);
    const isAtHead = (scopes.get(scope)?.serverDigest ?? null) !== null;
    return isAtHead && oldest !== undefined && isOverdue(oldest, nowIso);
  });
}

/** @returns whether any of them was news */
export async function storePush(local: LocalState, answer: PushResponse, nowIso: string): Promise<boolean> {
  const hadNews = await storeOutcomes(local, answer.outcomes, nowIso);
  local.mirror.announce();
  return hadNews;
}

/**
 * @param from the cursor that was asked with
 * @returns whether it brought anything
 */
async function storePage(
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
    const { row, entities, endsResync } = result;
    const old = endsResync && row.generation > 1 ? await oldParts(local, before, result) : NOTHING_OLD;
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
      local.mirror.dropRows(page.scope, ({ generation }) => generation < row.generation);
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
async function heldRows(
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

const NOTHING_OLD: Required<Pick<Commit, 'deletePrefixes' | 'deletes'>> = { deletePrefixes: [], deletes: [] };

/** What goes when a full resync has come to its end: all that it did not bring again. */
async function oldParts(local: LocalState, before: ScopeRow, { row, entities, updates }: PageResult) {
  const { scope, generation } = row;
  const isOld = (value: StoredValue): boolean => Number(value['generation']) < generation;
  const own = (await local.store.list('entity', keyOf(scope))).filter(
    ({ key, value }) => isOld(value) && !entities.has(key),
  );
  const stored = await documentRows(local.store, scope);
  const held = await heldRows(local, before, stored.values());
  const isHeld = (key: string): boolean => entities.has(key) || held.get(key)?.generation === generation;
  const added = new Set(updates.map((each) => entityKey(scope, each.entityType, each.entityId)));
  return {
    deletePrefixes: oldPages(before, generation),
    deletes: [
      ...own.map(({ key }) => ({ table: 'entity', key }) as const),
      ...oldDocuments(stored, row, isHeld, added),
    ],
  };
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

/** @returns whether a mutation has moved on */
async function storeOutcomes(
  local: LocalState,
  outcomes: readonly Outcome[],
  nowIso: string,
): Promise<boolean> {
  if (outcomes.length === 0) return false;
  return local.exclusively(async () => {
    const entries: OutboxEntry[] = [];
    const strays: string[] = [];
    const shown = new Map<string, EntityRow>();
    const seen: OutcomeRow[] = [];
    let hadNews = false;
    for (const outcome of outcomes) {
      const entry = local.mirror.outbox.of(outcome.mutationId);
      if (!entry) {
        if (outcome.status === 'accepted') continue;
        strays.push(outcome.mutationId);
        const isNew = !local.mirror.hasFinished(outcome.mutationId);
        const { current: _shown, ...told } = outcome;
        if (isNew && isForTheApp(outcome)) seen.push({ outcome: told, mutation: null, at: nowIso });
        continue;
      }
      const { scope } = entry.mutation;
      const after = withOutcome(entry, outcome, local.mirror.scopes.get(scope)?.generation ?? 0, nowIso);
      entries.push(after);
      if (after.state === entry.state) continue;
      hadNews = true;
      if (isForTheApp(outcome)) {
        seen.push({ outcome: after.outcome ?? outcome, mutation: entry.mutation, at: nowIso });
      }
      const current = currentOf(outcome, outcomes);
      if (current) await showCurrent(local, scope, current, shown);
    }
    const scopes = firstShownIn(local, [...shown.values()]);
    await local.commitAsLeader({
      deletes: entries.filter(isDone).map(entryAddress),
      puts: [
        ...scopes.map(scopePut),
        ...entries.filter((entry) => !isDone(entry)).map(entryPut),
        ...entityPuts(shown.values()),
        ...seen.map((row) => put('outcome', keyOf(row.outcome.mutationId), row)),
      ],
    });
    for (const row of scopes) local.mirror.scopes.set(row.scope, row);
    for (const row of shown.values()) local.mirror.setRow(row);
    local.entities.note(shown.values());
    for (const entry of entries) local.mirror.setEntry(entry);
    for (const mutationId of strays) local.strayOutcomes.add(mutationId);
    if (seen.length > 0) local.mirror.outcomesChanged();
    return hadNews;
  });
}

/**
 * Scopes whose first outcome comes before their first page. That page counts as the second generation, so
 * that what was shown before it goes with the end of it, unless it has come again.
 */
function firstShownIn(local: LocalState, shown: readonly EntityRow[]): ScopeRow[] {
  return [...new Set(shown.map(({ scope }) => scope))]
    .map((scope) => local.mirror.scopes.get(scope) ?? freshScope(scope))
    .filter(({ generation }) => generation === 0)
    .map((row) => ({ ...row, generation: 1 }));
}

function isForTheApp({ status, conflictId }: Outcome): boolean {
  return status !== 'accepted' && status !== 'applied' && (status !== 'merged' || conflictId !== undefined);
}

/** A large entity stands in one outcome of an answer only (PUSH-20). */
function currentOf(outcome: Outcome, all: readonly Outcome[]): RemoteDelta | null {
  if (outcome.current) return outcome.current;
  if (outcome.currentOf === undefined) return null;
  return all.find(({ mutationId }) => mutationId === outcome.currentOf)?.current ?? null;
}

/** Shows what an outcome says of the entity, until a pull has brought as much. */
async function showCurrent(
  local: LocalState,
  scope: string,
  { update: _later, ...current }: RemoteDelta,
  shown: Map<string, EntityRow>,
): Promise<void> {
  if (local.mirror.scopes.get(scope)?.isRevoked) return;
  const { entityType, entityId } = current;
  const key = entityKey(scope, entityType, entityId);
  const scopeRow = local.mirror.scopes.get(scope) ?? freshScope(scope);
  const row = shown.get(key) ?? (await heldRows(local, scopeRow, [current])).get(key);
  const newest = row?.shown ?? row?.delta;
  // Of an entity that never was, or is out of sight, the clock is empty: nothing to show (PUSH-7).
  if (newest ? hasAll(newest.clock, current.clock) : Object.keys(current.clock).length === 0) return;
  const { generation } = scopeRow;
  const stored = { scope, entityType, entityId, shown: current, page: null };
  shown.set(key, { generation, delta: null, ...row, ...stored });
}

/**
 * Removes everything of a scope that was taken away. What waits in the outbox stays: the server says what
 * becomes of it.
 */
async function purgeScope(local: LocalState, scope: string): Promise<boolean> {
  return local.exclusively(async () => {
    const known = local.mirror.scopes.get(scope);
    if (known?.isRevoked) return false;
    const row = { ...freshScope(scope), isRevoked: true };
    // No delta of this scope will ever have them.
    await letGo(local, [...local.mirror.outbox.unconfirmedIn(scope)], {
      deletePrefixes: OF_SCOPE.map((table) => ({ table, prefix: keyOf(scope) })),
      puts: [scopePut(row)],
    });
    local.mirror.scopes.set(scope, row);
    local.mirror.dropRows(scope, () => true);
    local.entities.forget();
    // Also one that is not held is taken away again until its receipt has come (GRANT-1).
    return known !== undefined;
  });
}

async function addScopes(local: LocalState, scopes: readonly string[]): Promise<boolean> {
  const fresh = scopes.filter((scope) => !local.mirror.scopes.has(scope));
  if (fresh.length === 0) return false;
  await local.exclusively(async () => {
    const rows = fresh.map(freshScope);
    await local.commitAsLeader({ puts: rows.map(scopePut) });
    for (const row of rows) local.mirror.scopes.set(row.scope, row);
  });
  return true;
}

function keyOfRow({ scope, entityType, entityId }: EntityRow): string {
  return entityKey(scope, entityType, entityId);
}

function put(table: TableName, key: string, value: object) {
  return { table, key, value: value as Readonly<Record<string, unknown>> };
}
