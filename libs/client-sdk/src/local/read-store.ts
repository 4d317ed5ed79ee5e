/** What other tabs have stored: brings the mirror up to date. Always called within `exclusively`. */
import { SyncError } from '../sync-error.ts';
import { type OutboxEntry, endedElsewhere, givenUp, outboxKey } from '../outbox/entry.ts';
import type { EntityRow, ScopeRow } from '../replica/rows.ts';
import { type StoredValue, keyOf } from '../storage/store.ts';
import type { LocalState } from './local-state.ts';
import type { OutcomeRow } from './store-outcomes.ts';
import { type Known, StorageClearedError, type Told } from './guarded-store.ts';
import { putBack } from './put-back.ts';
import { salvage } from './salvage.ts';
import { OF_SCOPE, listRows, ownRow, pageRows, typeOfPage } from './stored-entities.ts';
import { DEVICE, LOST, assertFormat, isSame, revocationOf } from './stored-rows.ts';

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
  if (store === known.store) await readRows(local, told);
  if (told.rows.some(({ table }) => table === 'outcome')) local.mirror.outcomesChanged();
  // Another store may have been read whole meanwhile: it counts from its own beginning.
  if (store === known.store) known.led = led;
}

/** Whether it can be read row by row. */
function isOfRows({ prefixes, rows }: Told): boolean {
  return (
    prefixes.every(({ table, prefix }) => OF_SCOPE.some((each) => each === table) && prefix !== '') &&
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
  // What another store has by now would be put back there, once it has come to its end.
  if ((await local.store.look()).store !== local.store.known.store) return readNews(local);
  for (const row of rows) {
    const entry = row as OutboxEntry | undefined;
    if (entry && entry.mutation.sequence > from && entry.mutation.sequence <= sequence) {
      local.mirror.setEntry(entry);
    }
  }
  local.store.known.sequence = sequence;
}

/**
 * The same, from a damaged store: what can be read of them, and of those that this tab knows, which may have
 * changed since it has read them.
 * @param led how many commits leaders have made: what was joined to an increment, they have
 * @returns the keys of those that cannot be read, and that this tab does not have either, or not the whole of
 */
export async function rescueWrites(local: LocalState, led: number): Promise<string[]> {
  const { rows, damaged } = await salvage(local.store, 'outbox');
  for (const row of rows) local.mirror.setEntry(row as unknown as OutboxEntry);
  return damaged.filter((key) => {
    const entry = local.mirror.outbox.at(Number(key));
    return !entry || (entry.mutation.op === 'merge' && led !== local.store.known.led);
  });
}

async function readRows(local: LocalState, { prefixes, rows }: Told): Promise<void> {
  const keysOf = (wanted: string): string[] =>
    rows.flatMap(({ table, key }) => (table === wanted ? [key] : []));
  const { mirror, store } = local;
  const [scopeKeys, entityKeys, outboxKeys] = [keysOf('scope'), keysOf('entity'), keysOf('outbox')];
  const scopes = await store.get('scope', scopeKeys);
  const loadedKeys = entityKeys.filter((key) => mirror.isLoaded(key.split('\0')[1] ?? ''));
  const entities = await store.get('entity', loadedKeys);
  const pageKeys = keysOf('page').filter((key) => mirror.isLoaded(typeOfPage(key)));
  const pages = await store.get('page', pageKeys);
  const entries = await store.get('outbox', outboxKeys);
  const gone = outboxKeys.flatMap((key, at) => (entries[at] ? [] : (mirror.outbox.at(Number(key)) ?? [])));
  const ended = await endsOf(local, gone);
  // A write that has come back to its place: see `putBack`.
  if (entries.some((entry) => entry && !isKnown(local, entry))) return readAll(local);
  for (const { table, prefix } of prefixes) {
    mirror.dropRows(prefix.split('\0')[0] ?? '', ({ scope, entityType, entityId, page }) => {
      if (table === 'page') return page?.startsWith(prefix) ?? false;
      return table === 'entity' && page === null && keyOf(scope, entityType, entityId).startsWith(prefix);
    });
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
  for (const [at, key] of pageKeys.entries()) setPage(local, key, pages[at]);
  for (const [at, key] of loadedKeys.entries()) {
    const value = entities[at];
    if (value) mirror.setRow(ownRow(key, value));
  }
  for (const entry of entries) if (entry) mirror.setEntry(entry as unknown as OutboxEntry);
  for (const entry of ended) mirror.setEntry(entry);
}

/** What has changed since the page was stored is known already, where the type was loaded after that. */
function setPage({ mirror }: LocalState, key: string, value: StoredValue | undefined): void {
  for (const row of value ? pageRows(key, value) : []) {
    const known = mirror.rowIn(row.scope, row);
    const { generation = -1, page = null } = known ?? {};
    // A row of its own is newer than all pages of the same resync.
    const isNewer = generation === row.generation ? (page ?? '\uffff') > key : generation > row.generation;
    if (!isNewer) mirror.setRow(row);
  }
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
 * @param what of a damaged store nothing but the outbox, as far as it can be read
 * @throws StorageClearedError; SyncError `other_device`; StorageError; then the mirror is as it was
 */
export async function readAll(
  local: LocalState,
  what: 'all' | 'outbox_as_far_as_readable' = 'all',
): Promise<void> {
  const { mirror, store } = local;
  const isRescue = what !== 'all';
  for (;;) {
    const known = await store.look();
    if (known.store === 0) throw new StorageClearedError();
    const [device] = await store.get('meta', [DEVICE]);
    if (device) assertFormat(device);
    const [lost = 0] = await store.counters([LOST]);
    const scopes = isRescue ? [] : rowsOf<ScopeRow>(await store.list('scope', ''));
    const entries = isRescue
      ? ((await salvage(store, 'outbox')).rows as unknown as readonly OutboxEntry[])
      : rowsOf<OutboxEntry>(await store.list('outbox', ''));
    const types = mirror.loadedTypes;
    const entities: EntityRow[] = [];
    for (const scope of scopes) {
      for (const type of types) for (const row of await listRows(store, scope, type)) entities.push(row);
    }
    if ((await store.look()).store !== known.store) continue;
    if (device && !isSame(device, local.identity)) throw otherDevice(device);
    const revocation = revocationOf(device);
    const isGivenUp = revocation.isRevoked || revocation.times > local.revocation.times;
    const stored = new Set(entries.map(({ mutation }) => mutation.mutationId));
    const missing = [...mirror.outbox.all()].filter(({ mutation }) => !stored.has(mutation.mutationId));
    const isAnother = store.known.store !== 0 && store.known.store !== known.store;
    const isToReturn = isAnother && !isGivenUp && missing.length > 0;
    if (isToReturn && (await putBack(local, known, entries, missing, entities))) continue;
    const ended = isGivenUp ? missing.map(givenUp) : await endsOf(local, missing);
    mirror.empty();
    local.entities.forget();
    for (const row of scopes) mirror.scopes.set(row.scope, row);
    for (const row of entities) mirror.setRow(row);
    for (const entry of [...entries, ...ended]) mirror.setEntry(entry);
    local.revocation = revocation;
    local.lostWrites = lost;
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
  const keys = gone.map(({ mutation }) => keyOf(mutation.mutationId));
  // One that is damaged goes with the next rebuild: no reason to know nothing of all others.
  const { rows } = await salvage(local.store, 'outcome', keys);
  const outcomes = (rows as unknown as readonly OutcomeRow[]).map(({ outcome }) => outcome);
  const known = new Map(outcomes.map((outcome) => [outcome.mutationId, outcome]));
  return gone.map((entry) => endedElsewhere(entry, known.get(entry.mutation.mutationId) ?? null));
}

function rowsOf<T>(rows: readonly { readonly value: StoredValue }[]): T[] {
  return rows.map(({ value }) => value as unknown as T);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_unused, at) => from + at);
}

export function otherDevice(device: StoredValue): SyncError {
  return new SyncError('other_device', `The store belongs to device ${String(device['deviceId'])}`);
}
