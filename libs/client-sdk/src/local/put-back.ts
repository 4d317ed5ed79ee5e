import { type ReplicaId, counterOf } from '@sync/vector-clock';
import type { LocalMutation } from '@sync/protocol';
import { type OutboxEntry, isContainedIn, isDone, outboxKey, ownCounter } from '../outbox/entry.ts';
import { type EntityRow, entityKey } from '../replica/rows.ts';
import type { LocalState } from './local-state.ts';
import type { Known } from './guarded-store.ts';
import { LOST, entryPut } from './stored-rows.ts';

/**
 * Stores what this tab still has of its outbox, where a browser has cleared the store and another tab was the
 * first to notice. What had come to its end there meanwhile is pushed once more, and answered as before; it
 * is not shown again over a row that has it, for no page may come that has it, too.
 * @param known of the store as it is now
 * @param stored the outbox as it is now
 * @param rows as they are stored now, of the types that were loaded
 * @returns false where there is nothing to store
 * @throws StorageError
 */
export async function putBack(
  local: LocalState,
  { store, sequence }: Known,
  stored: readonly OutboxEntry[],
  missing: readonly OutboxEntry[],
  rows: readonly EntityRow[],
): Promise<boolean> {
  const deltas = new Map(rows.map((row) => [entityKey(row.scope, row.entityType, row.entityId), row.delta]));
  const back = missing
    .map((entry) => {
      const { scope, entityType, entityId } = entry.mutation;
      const delta = deltas.get(entityKey(scope, entityType, entityId));
      return delta && isContainedIn(entry, delta, local.own) ? { ...entry, isContained: true } : entry;
    })
    .filter((entry) => !isDone(entry));
  if (back.length === 0) return false;
  let last = Math.max(sequence, local.store.known.sequence);
  const taken = new Set(stored.map(({ mutation }) => mutation.sequence));
  const entries = back.map((entry) => {
    if (!taken.has(entry.mutation.sequence)) return inFirstGeneration(entry);
    last += 1;
    return inFirstGeneration({ ...entry, mutation: renumbered(entry.mutation, last) });
  });
  const own = ownCounts(entries, local.own);
  // What was counted as lost, and is not.
  const lost = missing.map(({ mutation }) => LOST + outboxKey(mutation.sequence));
  const [lostWrites = 0, ...isLost] = await local.store.counters([LOST, ...lost]);
  const found = lost.filter((_name, at) => isLost[at]);
  const counters: Record<string, number> = { sequence: last, [LOST]: lostWrites - found.length };
  for (const name of found) counters[name] = 0;
  const counts = await local.store.counters(Object.keys(own));
  for (const [at, [name, count]] of Object.entries(own).entries()) {
    counters[name] = Math.max(count, counts[at] ?? 0);
  }
  // Another store from then on: below numbers that are taken already, nothing else would tell who hears of no
  // commit that there is something to read.
  await local.store.replace({ puts: entries.map(entryPut), counters }, { store, sequence });
  return true;
}

/** Scopes of a store that begins anew count their generations from the beginning. */
export function inFirstGeneration(entry: OutboxEntry): OutboxEntry {
  return entry.generation === null ? entry : { ...entry, generation: 0 };
}

/** By counter: the number of the last change among those that this device has made of the entity. */
export function ownCounts(entries: readonly OutboxEntry[], own: ReplicaId): Record<string, number> {
  // In the order of writing, so that the last of an entity counts.
  return Object.fromEntries(
    entries.map(({ mutation }) => [ownCounter(mutation), counterOf(mutation.baseClock ?? {}, own) + 1]),
  );
}

/** The tag is of its old number. */
function renumbered({ tag: _old, ...mutation }: LocalMutation, sequence: number): LocalMutation {
  return { ...mutation, sequence };
}
