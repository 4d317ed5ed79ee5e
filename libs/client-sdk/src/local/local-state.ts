import type { AckRequest, LocalMutation, PullRequest } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import { type ReplicaId, counterOf, deviceReplica } from '@sync/vector-clock';
import { SyncError } from '../sync-error.ts';
import type { DeviceIdentity } from '../net/transport.ts';
import { type OutboxEntry, givenUp, isDone, outboxKey, ownCounter } from '../outbox/entry.ts';
import type { EntityRow, ScopeRow } from '../replica/rows.ts';
import { freshScope, scopeKey } from '../replica/rows.ts';
import { type Commit, type Store, type StoredValue, TABLE_NAMES, keyOf } from '../storage/store.ts';
import { Mirror } from './mirror.ts';
import { Serial } from './serial.ts';

const RESYNC_PAUSE_MS = 30_000;
/** The key in table `meta` of whose store it is. */
const DEVICE = 'device';

/**
 * What is stored and its mirror in memory, which change together: first the store, then the mirror, one
 * change after the other. Whoever leads has a term; what a leader of an earlier term would store is refused
 * by the store, so that two of them do no harm.
 */
export class LocalState {
  readonly store: Store;
  readonly identity: DeviceIdentity;
  readonly own: ReplicaId;
  readonly mirror = new Mirror();
  readonly #serial = new Serial();
  #term = 0;
  /** The highest that this tab knows of: no later one is ever lower (PUSH-18). */
  lastSequence = 0;
  /** Terminal outcomes of mutations that the outbox does not know any more. */
  readonly strayOutcomes = new Set<string>();
  /** When a scope was begun anew because somebody had said so, by the device's clock. */
  readonly #resyncs = new Map<string, number>();
  #nextScope = 0;

  constructor(store: Store, identity: DeviceIdentity) {
    this.store = store;
    this.identity = identity;
    this.own = deviceReplica(identity.deviceId);
  }

  /**
   * Reads scopes and outbox, and begins a term.
   * @throws SyncError `other_device` where the store belongs to another one
   * @throws StorageError
   */
  async open(): Promise<void> {
    await this.exclusively(async () => {
      const [device] = await this.store.get('meta', [DEVICE]);
      if (device && !isSame(device, this.identity)) {
        throw new SyncError('other_device', `The store belongs to device ${String(device['deviceId'])}`);
      }
      for (;;) {
        const [term = 0, sequence = 0] = await this.store.counters(['term', 'sequence']);
        const puts = device ? [] : [devicePut(this.identity)];
        if (await this.store.commit({ puts, expect: { term }, counters: { term: term + 1 } })) {
          this.#term = term + 1;
          this.lastSequence = sequence;
          break;
        }
      }
      for (const { value } of await this.store.list('scope', '')) {
        const row = value as unknown as ScopeRow;
        this.mirror.scopes.set(row.scope, row);
      }
      for (const { value } of await this.store.list('outbox', '')) {
        this.mirror.setEntry(value as unknown as OutboxEntry);
      }
    });
  }

  /**
   * After the browser has cleared the store, or it was damaged: what is still in memory is stored anew, above
   * all the outbox; everything else comes with full resyncs. One commit: whoever dies in it, or finds no room
   * for it, has lost nothing.
   * @throws StorageError; then nothing has changed, in memory neither
   */
  async rebuild(): Promise<void> {
    await this.exclusively(async () => {
      // Scopes count their generations from the beginning again.
      const entries = [...this.mirror.outbox.all()].map((entry) =>
        entry.generation === null ? entry : { ...entry, generation: 0 },
      );
      const own = entries.map(({ mutation }) => [ownCounter(mutation), this.#countOf(mutation)] as const);
      await this.store.commit({
        deletePrefixes: TABLE_NAMES.filter((table) => table !== 'outcome').map((table) => ({
          table,
          prefix: '',
        })),
        puts: [devicePut(this.identity), ...entries.map(entryPut)],
        // In the order of writing, so that the last of an entity counts.
        counters: { ...Object.fromEntries(own), term: this.#term + 1, sequence: this.lastSequence },
      });
      this.#term += 1;
      this.mirror.empty();
      for (const entry of entries) this.mirror.setEntry(entry);
    });
    this.mirror.announce();
  }

  /** The number of a change of this device among those that it has made of the entity. */
  #countOf({ baseClock = {} }: LocalMutation): number {
    return counterOf(baseClock, this.own) + 1;
  }

  /**
   * Removes everything: the device was revoked, and may not have it any more. Who waits for a write is told
   * that nothing will come of it.
   */
  async wipe(): Promise<void> {
    await this.exclusively(async () => {
      await this.store.clear();
      for (const entry of this.mirror.empty()) this.mirror.setEntry(givenUp(entry));
    });
    this.mirror.announce();
  }

  /** Makes the entities of a type known to the mirror. */
  async load(entityType: string): Promise<void> {
    await this.exclusively(async () => {
      if (this.mirror.isLoaded(entityType)) return;
      const rows: EntityRow[] = [];
      for (const scope of this.mirror.scopes.keys()) {
        const found = await this.store.list('entity', keyOf(scope, entityType));
        rows.push(...found.map(({ value }) => value as unknown as EntityRow));
      }
      this.mirror.load(entityType, rows);
    });
    this.mirror.announce();
  }

  /** Nothing else reads and then changes what is stored meanwhile, in this tab. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  /**
   * Stores what the server has said.
   * @throws NotLeadingError when another tab leads by now
   * @throws StorageClearedError when somebody has emptied the store
   * @throws StorageError
   */
  async commitAsLeader(change: Commit): Promise<void> {
    const isStored = await this.store.commit({ ...change, expect: { ...change.expect, term: this.#term } });
    if (isStored) return;
    await this.checkStore();
    throw new NotLeadingError();
  }

  /** @throws StorageClearedError when the store was emptied: by a browser that needs room, or its user */
  async checkStore(): Promise<void> {
    const [device] = await this.store.get('meta', [DEVICE]);
    if (!device) throw new StorageClearedError();
  }

  /**
   * The scopes of the next pull: those with more to come first, then all others in turn. Undefined, for all
   * that there are, while nothing was ever pulled: a device that has lost its store was served them before,
   * so that no pull would name them to it (PULL-22).
   */
  nextScopes(): PullRequest['scopes'] | undefined {
    const held = [...this.mirror.scopes.values()].filter(({ isRevoked }) => !isRevoked);
    if (held.every(({ cursor }) => cursor === null)) return undefined;
    const behind = held.filter(({ serverDigest }) => serverDigest === null);
    const rest = held.filter(({ serverDigest }) => serverDigest !== null);
    const turn = rest.length > 0 ? this.#nextScope % rest.length : 0;
    const asked = [...behind, ...rest.slice(turn), ...rest.slice(0, turn)].slice(0, LIMITS.scopesPerPull);
    if (held.length > LIMITS.scopesPerPull) this.#nextScope += LIMITS.scopesPerPull;
    return asked.map(({ scope, cursor }) => ({ scope, cursor }));
  }

  /** @returns what there is to ack; null when there is nothing */
  ackBody(): AckRequest | null {
    const { scopes, outbox } = this.mirror;
    const cursors = firstOf(scopes.unacked, LIMITS.scopesPerPull).flatMap((scope) => {
      const { cursor, serverDigest, digest } = scopes.get(scope) ?? freshScope(scope);
      // Behind the head there is nothing to compare it with.
      return cursor === null ? [] : [{ scope, cursor, ...(serverDigest ? { digest } : {}) }];
    });
    const purged = firstOf(scopes.revoked, LIMITS.scopesPerPull);
    const own = firstOf(outbox.unacked(), LIMITS.outcomesPerAck);
    const strays = firstOf(this.strayOutcomes, LIMITS.outcomesPerAck - own.length);
    const outcomes = [...own.map(({ mutation }) => mutation.mutationId), ...strays];
    if (cursors.length === 0 && purged.length === 0 && outcomes.length === 0) return null;
    return { cursors, outcomes, purged };
  }

  /** The server has taken the ack. */
  async storeAck({ cursors = [], outcomes = [], purged = [] }: AckRequest): Promise<void> {
    await this.exclusively(async () => {
      const rows = cursors.flatMap(({ scope, cursor }) => {
        const row = this.mirror.scopes.get(scope);
        return row?.cursor === cursor ? [{ ...row, ackedCursor: cursor }] : [];
      });
      const entries = outcomes.flatMap((mutationId) => {
        const entry = this.mirror.outbox.of(mutationId);
        return entry ? [{ ...entry, isAcked: true }] : [];
      });
      await this.commitAsLeader({
        puts: [...rows.map(scopePut), ...entries.filter((entry) => !isDone(entry)).map(entryPut)],
        deletes: [
          ...purged.map((scope) => ({ table: 'scope', key: scopeKey(scope) }) as const),
          ...entries.filter(isDone).map(entryAddress),
        ],
      });
      for (const row of rows) this.mirror.scopes.set(row.scope, row);
      for (const scope of purged) this.mirror.scopes.delete(scope);
      for (const entry of entries) this.mirror.setEntry(entry);
      for (const mutationId of outcomes) this.strayOutcomes.delete(mutationId);
    });
    this.mirror.announce();
  }

  /**
   * Whether a scope may begin anew that was told to. What differs still after that is not repaired by doing
   * it for ever: the server backs off (ACK-3), and so does the device where it does not.
   */
  mayResync(scope: string, nowMs: number): boolean {
    const lastMs = this.#resyncs.get(scope);
    if (lastMs !== undefined && Math.abs(nowMs - lastMs) < RESYNC_PAUSE_MS) return false;
    this.#resyncs.set(scope, nowMs);
    return true;
  }

  /** The next pull begins them anew; what is held of them stays until it has come again. */
  async dropCursors(scopes: readonly string[]): Promise<void> {
    await this.exclusively(async () => {
      const rows = scopes.flatMap((scope) => {
        const row = this.mirror.scopes.get(scope);
        return row ? [{ ...row, cursor: null, serverDigest: null }] : [];
      });
      await this.commitAsLeader({ puts: rows.map(scopePut) });
      for (const row of rows) this.mirror.scopes.set(row.scope, row);
    });
  }
}

/** Another tab leads: what this one wanted to store was not stored. */
export class NotLeadingError extends Error {
  constructor() {
    super('Another tab talks to the server now');
    this.name = 'NotLeadingError';
  }
}

/** The store is empty, although it was not before. */
export class StorageClearedError extends Error {
  constructor() {
    super('What this device had stored is gone');
    this.name = 'StorageClearedError';
  }
}

function isSame(stored: StoredValue, identity: DeviceIdentity): boolean {
  return Object.entries(deviceRow(identity)).every(([name, value]) => stored[name] === value);
}

/** Two devices in one store would count under each other's names. */
function deviceRow({ tenantId, userId, deviceId }: DeviceIdentity): StoredValue {
  return { tenantId, userId, deviceId };
}

function devicePut(identity: DeviceIdentity) {
  return { table: 'meta', key: DEVICE, value: deviceRow(identity) } as const;
}

export function scopePut(row: ScopeRow) {
  return { table: 'scope', key: scopeKey(row.scope), value: { ...row } } as const;
}

export function entryPut(entry: OutboxEntry) {
  return { ...entryAddress(entry), value: { ...entry } } as const;
}

export function entryAddress({ mutation }: OutboxEntry) {
  return { table: 'outbox', key: outboxKey(mutation.sequence) } as const;
}

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const found: T[] = [];
  for (const item of items) {
    if (found.length >= most) break;
    found.push(item);
  }
  return found;
}
