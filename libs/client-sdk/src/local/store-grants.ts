/** What is granted to the user and taken away, and what becomes of changes in a scope that is not held. */
import type { ConflictRecord, RemoteDelta } from '@sync/protocol';
import { withoutServerSide } from '@sync/protocol/device';
import { type OutboxEntry, isDone, isOverdue } from '../outbox/entry.ts';
import { type EntityRow, entityKey, freshScope } from '../replica/rows.ts';
import { type Commit, keyOf } from '../storage/store.ts';
import type { LocalState } from './local-state.ts';
import { OF_SCOPE, entityPuts, listRows } from './stored-entities.ts';
import { entryAddress, entryPut, scopePut } from './stored-rows.ts';

/**
 * Removes everything of a scope that was taken away. What waits in the outbox stays: the server says what
 * becomes of it.
 */
export async function purgeScope(local: LocalState, scope: string): Promise<boolean> {
  return local.exclusively(async () => {
    const known = local.mirror.scopes.get(scope);
    if (known?.isRevoked) return false;
    const row = { ...freshScope(scope), isRevoked: true };
    const records = await recordsOf(local, scope);
    // No delta of this scope will ever have them.
    await letGo(local, [...local.mirror.outbox.unconfirmedIn(scope)], {
      deletePrefixes: OF_SCOPE.map((table) => ({ table, prefix: keyOf(scope) })),
      puts: [scopePut(row), ...entityPuts(records)],
    });
    local.mirror.scopes.set(scope, row);
    local.mirror.dropRows(scope, () => true);
    for (const record of records) local.mirror.setRow(record);
    local.entities.forget();
    // Also one that is not held is taken away again until its receipt has come (GRANT-1).
    return known !== undefined;
  });
}

/**
 * The ConflictRecords about entities of a scope, without what they show of the server (CONFLICT-18). They are
 * in the user's own scope, which stays, and no pull brings them again.
 */
async function recordsOf(local: LocalState, scope: string): Promise<EntityRow[]> {
  const all = new Map<string, EntityRow>();
  for (const held of local.mirror.scopes.values()) {
    // What is in the scope itself goes as a whole.
    if (held.scope === scope) continue;
    for (const row of await listRows(local.store, held, 'conflict')) {
      all.set(entityKey(row.scope, row.entityType, row.entityId), row);
    }
  }
  const without = (state: RemoteDelta | null): RemoteDelta | null => {
    if (!state?.data) return state;
    return { ...state, data: withoutServerSide(state.data as unknown as ConflictRecord) };
  };
  return [...all.values()].flatMap((row) => {
    const states = [row.delta, row.shown];
    if (!states.some((state) => state?.data?.['scope'] === scope)) return [];
    return { ...row, delta: without(row.delta), shown: without(row.shown), page: null };
  });
}

/** Scopes that the user holds by now. @returns whether any of them is new */
export async function addScopes(local: LocalState, scopes: readonly string[]): Promise<boolean> {
  const fresh = scopes.filter((scope) => !local.mirror.scopes.has(scope));
  if (fresh.length === 0) return false;
  await local.exclusively(async () => {
    const rows = fresh.map(freshScope);
    await local.commitAsLeader({ puts: rows.map(scopePut) });
    for (const row of rows) local.mirror.scopes.set(row.scope, row);
  });
  return true;
}

/**
 * Changes that stand in a scope which the user does not hold (any more): no delta of it will ever have them.
 * One that is not known at all may be granted yet, and is given time.
 */
export async function letUnheldGo(local: LocalState, nowIso: string): Promise<void> {
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
