/** What the server says of mutations: the outbox moves on, and the app is told what did not come to stand. */
import type { Outcome, RemoteDelta } from '@sync/protocol';
import { type OutboxEntry, isDone, withOutcome } from '../outbox/entry.ts';
import { hasAll } from '../replica/clocks.ts';
import { type EntityRow, type ScopeRow, entityKey, freshScope } from '../replica/rows.ts';
import { keyOf } from '../storage/store.ts';
import type { LocalState } from './local-state.ts';
import { salvage } from './salvage.ts';
import { heldRows } from './store-page.ts';
import { entityPuts } from './stored-entities.ts';
import { LOST, entryAddress, entryPut, scopePut } from './stored-rows.ts';

/** A mutation that did not simply come to stand, for the app to see until it says that it has. */
export interface OutcomeRow {
  readonly outcome: Outcome;
  /** Null where the device does not know it any more. */
  readonly mutation: OutboxEntry['mutation'] | null;
  /** By the device's clock. */
  readonly at: string;
}

/** @returns whether a mutation has moved on */
export async function storeOutcomes(
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
        ...seen.map(outcomePut),
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
 * What the app was not told of yet, the oldest first. What cannot be read goes, and is counted as lost.
 * @throws StorageError
 */
export async function listOutcomes(local: LocalState): Promise<OutcomeRow[]> {
  const { store } = local;
  const { rows, damaged } = await salvage(store, 'outcome');
  if (damaged.length > 0) await local.exclusively(() => loseOutcomes(local, damaged));
  const outcomes = rows as unknown as OutcomeRow[];
  return outcomes.sort((one, other) => (one.at < other.at ? -1 : 1));
}

async function loseOutcomes(local: LocalState, keys: readonly string[]): Promise<void> {
  const lost = local.lostWrites + keys.length;
  const deletes = keys.map((key) => ({ table: 'outcome', key }) as const);
  const { lostWrites } = local;
  if (!(await local.store.commit({ deletes, expect: { [LOST]: lostWrites }, counters: { [LOST]: lost } })))
    return;
  local.lostWrites = lost;
  local.mirror.outcomesChanged();
  local.mirror.announce();
}

function outcomePut(row: OutcomeRow) {
  return { table: 'outcome', key: keyOf(row.outcome.mutationId), value: { ...row } } as const;
}
