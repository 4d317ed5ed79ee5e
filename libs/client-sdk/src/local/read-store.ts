/** What other tabs have stored: brings the mirror up to date. Always called within `exclusively`. */
import { SyncError } from '../sync-error.ts';
import { type OutboxEntry, endedElsewhere, givenUp, outboxKey } from '../outbox/entry.ts';
import type { EntityRow, ScopeRow } from '../replica/rows.ts';
import { type StoredValue, keyOf } from '../storage/store.ts';
import type { LocalState } from './local-state.ts';
import type { OutcomeRow } from './store-answers.ts';
import { type Known, StorageClearedError, type Told } from './guarded-store.ts';
import { putBack } from './put-back.ts';
import { DEVICE, isSame } from './stored-rows.ts';

/** Writes of others that are asked for by their keys; of more, all that waits is listed. */
const KEYS_AT_ONCE = 1_000;

/**
 * Reads what has changed since this tab has read last, and nothing where nothing has.
 * @throws StorageClearedError
 * @throws StorageError; then the mirror is as it was
 */
export async function readNews(local: LocalState): Promise<void> {
  const { known } = local.store;
  const { store, led, sequence } = await local.store.look();
  if (store === 0) throw new StorageClearedError();
  if (store !== known.store || led !== known.led) return readAll(local);
  return readWrites(local, sequence);
}

/** Reads what a commit of another tab has changed. */
export async function readTold(local: LocalState, told: Told): Promise<void> {
  const { known } = local.store;
  const { store = known.store, led = known.led } = told.counters;
  const isOfLeader = told.counters.led !== undefined;
  if (isOfLeader && store === known.store && led <= known.led) return;
  const isNext = store === known.store && (!isOfLeader || led === known.led + 1);
  if (!isNext || !isOfRows(told)) return readNews(local);
  // What a leader says of a write may come before its writer's own word.
  const numbered = told.rows.flatMap(({ table, key }) => (table === 'outbox' ? [Number(key)] : []));
  await readWrites(local, Math.max(told.counters.sequence ?? 0, ...numbered));
  await readRows(local, told);
  if (told.rows.some(({ table }) => table === 'outcome')) local.mirror.outcomesChanged();
  known.led = led;
}

/** Whether it can be read row by row. */
function isOfRows({ prefixes, rows }: Told): boolean {
  return (
    prefixes.every(({ table, prefix }) => table === 'document' || (table === 'entity' && prefix !== '')) &&
    rows.every(({ table }) => table !== 'meta')
  );
}

/** Writes up to this number: no number is passed over, so that the outbox stays in its order. */
export async function readWrites(local: LocalState, sequence: number): Promise<void> {
  const from = local.store.known.sequence;
  if (sequence <= from) return;
  const rows =
    sequence - from > KEYS_AT_ONCE
      ? (await local.store.list('outbox', '')).map(({ value }) => value)
      : await local.store.get('outbox', numbers(from + 1, sequence).map(outboxKey));
  for (const row of rows) {
    const entry = row as OutboxEntry | undefined;
    if (entry && entry.mutation.sequence > from && entry.mutation.sequence <= sequence) {
      local.mirror.setEntry(entry);
    }
  }
  local.store.known.sequence = sequence;
}

async function readRows(local: LocalState, { prefixes, rows }: Told): Promise<void> {
  const keysOf = (wanted: string): string[] =>
    rows.flatMap(({ table, key }) => (table === wanted ? [key] : []));
  const { mirror, store } = local;
  const [scopeKeys, entityKeys, outboxKeys] = [keysOf('scope'), keysOf('entity'), keysOf('outbox')];
  const scopes = await store.get('scope', scopeKeys);
  const isLoaded = (key: string): boolean => mirror.isLoaded(key.split('\0')[1] ?? '');
  const loadedKeys = entityKeys.filter(isLoaded);
  const entities = await store.get('entity', loadedKeys);
  const entries = await store.get('outbox', outboxKeys);
  const gone = outboxKeys.flatMap((key, at) => (entries[at] ? [] : (mirror.outbox.at(Number(key)) ?? [])));
  const ended = await endsOf(local, gone);
  // A write that has come back to its place: see `putBack`.
  if (entries.some((entry) => entry && !isKnown(local, entry))) return readAll(local);
  for (const { table, prefix } of prefixes) {
    if (table !== 'entity') continue;
    mirror.dropRows(prefix.split('\0')[0] ?? '', ({ scope, entityType, entityId }) =>
      keyOf(scope, entityType, entityId).startsWith(prefix),
    );
  }
  for (const [at, key] of scopeKeys.entries()) {
    const row = scopes[at] as ScopeRow | undefined;
    if (row) mirror.scopes.set(row.scope, row);
    else mirror.scopes.delete(key.slice(0, -1));
  }
  dropEntities(
    local,
    loadedKeys.filter((_key, at) => !entities[at]),
  );
  for (const row of entities) if (row) mirror.setRow(row as unknown as EntityRow);
  for (const entry of entries) if (entry) mirror.setEntry(entry as unknown as OutboxEntry);
  for (const entry of ended) mirror.setEntry(entry);
}

function isKnown(local: LocalState, row: StoredValue): boolean {
  const { mutation } = row as unknown as OutboxEntry;
  return local.mirror.outbox.of(mutation.mutationId)?.mutation.sequence === mutation.sequence;
}

function dropEntities(local: LocalState, keys: readonly string[]): void {
  const gone = new Set(keys);
  for (const scope of new Set(keys.map((key) => key.split('\0')[0] ?? ''))) {
    local.mirror.dropRows(scope, (row) => gone.has(keyOf(row.scope, row.entityType, row.entityId)));
  }
}

/**
 * Reads everything anew. The outbox of this tab is put back where the store has lost it.
 * @throws StorageClearedError; SyncError `other_device`; StorageError; then the mirror is as it was
 */
export async function readAll(local: LocalState): Promise<void> {
  const { mirror, store } = local;
  for (;;) {
    const known = await store.look();
    if (known.store === 0) throw new StorageClearedError();
    const [device] = await store.get('meta', [DEVICE]);
    const scopes = rowsOf<ScopeRow>(await store.list('scope', ''));
    const entries = rowsOf<OutboxEntry>(await store.list('outbox', ''));
    const types = mirror.loadedTypes;
    const entities: EntityRow[] = [];
    for (const { scope } of scopes) {
      for (const type of types)
        entities.push(...rowsOf<EntityRow>(await store.list('entity', keyOf(scope, type))));
    }
    if ((await store.look()).store !== known.store) continue;
    if (device && !isSame(device, local.identity)) throw otherDevice(device);
    const isRevoked = device?.['isRevoked'] === true;
    const stored = new Set(entries.map(({ mutation }) => mutation.mutationId));
    const missing = [...mirror.outbox.all()].filter(({ mutation }) => !stored.has(mutation.mutationId));
    const isAnother = store.known.store !== 0 && store.known.store !== known.store;
    if (isAnother && !isRevoked && missing.length > 0) {
      await putBack(local, known, entries, missing);
      continue;
    }
    const ended = isRevoked ? missing.map(givenUp) : await endsOf(local, missing);
    mirror.empty();
    for (const row of scopes) mirror.scopes.set(row.scope, row);
    for (const row of entities) mirror.setRow(row);
    for (const entry of [...entries, ...ended]) mirror.setEntry(entry);
    local.isRevoked = isRevoked;
    adopt(store.known, known, entries.at(-1)?.mutation.sequence ?? 0);
    return;
  }
}

/** The counters were read first: what was listed is as new as they are, or newer. */
function adopt(before: Known, { store, term, led, sequence }: Known, last: number): void {
  Object.assign(before, {
    store,
    led,
    term: Math.max(before.term, term),
    sequence: Math.max(sequence, last),
  });
}

/** What became of writes that have left the outbox while this tab did not look. */
async function endsOf(local: LocalState, gone: readonly OutboxEntry[]): Promise<OutboxEntry[]> {
  if (gone.length === 0) return [];
  const rows = await local.store.get(
    'outcome',
    gone.map(({ mutation }) => keyOf(mutation.mutationId)),
  );
  return gone.map((entry, at) =>
    endedElsewhere(entry, (rows[at] as OutcomeRow | undefined)?.outcome ?? null),
  );
}

function rowsOf<T>(rows: readonly { readonly value: StoredValue }[]): T[] {
  return rows.map(({ value }) => value as unknown as T);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_unused, at) => from + at);
}

export function otherDevice(device: StoredValue): SyncError {
  return new SyncError('other_device', `The store belongs to device ${String(device['deviceId'])}`);
}
