import type { AckRequest, LocalMutation, PullRequest } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import { type ReplicaId, deviceReplica } from '@sync/vector-clock';
import type { DeviceIdentity } from '../net/transport.ts';
import { givenUp, isDone } from '../outbox/entry.ts';
import type { EntityRow, ScopeRow } from '../replica/rows.ts';
import { freshScope, scopeKey } from '../replica/rows.ts';
import { type Commit, type Store, TABLE_NAMES } from '../storage/store.ts';
import { AppVersions } from '../schema/app-versions.ts';
import { SyncError } from '../sync-error.ts';
import { Mirror } from './mirror.ts';
import { inFirstGeneration, ownCounts } from './put-back.ts';
import { otherDevice, readAll, readNews, readTold, readWrites, rescueWrites } from './read-store.ts';
import { Serial } from './serial.ts';
import {
  GuardedStore,
  type Known,
  StorageClearedError,
  StoreReplacedError,
  type Told,
  isBehind,
  newStoreId,
} from './guarded-store.ts';
import {
  DEVICE,
  type Revocation,
  assertFormat,
  devicePut,
  entryAddress,
  entryPut,
  isSame,
  scopePut,
} from './stored-rows.ts';
import { StoredEntities, listRows } from './stored-entities.ts';

const RESYNC_PAUSE_MS = 30_000;
/** After the store was cleared, other tabs may have given numbers that this one has not heard of. */
const NUMBERS_LEFT_FREE = 10_000;

/**
 * What is stored and its mirror in memory, which change together: first the store, then the mirror, one
 * change after the other. Whoever leads has a term; what a leader of an earlier term would store is refused
 * by the store, so that two of them do no harm.
 */
export class LocalState {
  readonly store: GuardedStore;
  readonly identity: DeviceIdentity;
  readonly own: ReplicaId;
  readonly versions: AppVersions;
  readonly mirror: Mirror;
  readonly entities: StoredEntities;
  readonly #serial = new Serial();
  readonly #closing = new AbortController();
  /** Stores what is in the hands of the app still, while the client is open. */
  beforeClose: (() => Promise<void>) | null = null;
  revocation: Revocation = { isRevoked: false, times: 0 };
  /**
   * What this tab has written, as it is in the mirror, until a push takes it. Nobody has sent it while the
   * term lasts in which it was written.
   */
  unsent = new WeakSet<LocalMutation>();
  /** Terminal outcomes of mutations that the outbox does not know any more. */
  readonly strayOutcomes = new Set<string>();
  /** When a scope was begun anew because somebody had said so, by the device's clock. */
  readonly #resyncs = new Map<string, number>();
  /** Scopes with something new, as far as anybody has said so. */
  readonly #toAsk = new Set<string>();
  #nextScope = 0;

  constructor(store: Store, identity: DeviceIdentity, versions = new AppVersions()) {
    this.versions = versions;
    this.mirror = new Mirror(versions);
    this.store = new GuardedStore(store);
    this.entities = new StoredEntities(this.store);
    this.identity = identity;
    this.own = deviceReplica(identity.deviceId);
  }

  /**
   * Reads scopes and outbox.
   * @throws SyncError `other_device` where the store belongs to another one
   * @throws StorageError
   */
  async open(): Promise<void> {
    await this.exclusively(async () => {
      for (;;) {
        const { store } = await this.store.look();
        const [device] = await this.store.get('meta', [DEVICE]);
        if (device) assertFormat(device);
        const isMine = device && isSame(device, this.identity);
        if (isMine && store !== 0) break;
        // One that was revoked has left nothing.
        if (device && !isMine && !device['isRevoked']) throw otherDevice(device);
        const change = {
          puts: [devicePut(this.identity, this.revocation)],
          counters: { store: newStoreId() },
        };
        await this.store.commitIf(change, { store });
      }
      await readAll(this);
    });
  }

  /**
   * Begins a term, and reads what was stored before it.
   * @throws StoreReplacedError, SyncError, StorageError; then no term was begun
   */
  async lead(): Promise<void> {
    await this.#reading(async () => {
      await readNews(this);
      // Whoever has led meanwhile may have sent it.
      this.unsent = new WeakSet();
      while (!(await this.store.beginTerm()));
      this.entities.forget();
      await readNews(this);
    });
  }

  /**
   * Reads what others have stored.
   * @param told what one of them knew; nothing is read where this tab knows as much when it comes to it
   * @throws SyncError, StorageError
   */
  catchUp(told?: Known): Promise<void> {
    return this.#reading(async () => {
      if (!told || isBehind(this.store.known, told)) await readNews(this);
    });
  }

  /** Another tab has stored this. @throws SyncError, StorageError */
  hear(told: Told): Promise<void> {
    return this.#reading(() => readTold(this, told));
  }

  /**
   * Reads writes of other tabs that this one has not heard of.
   * @returns whether there were any
   * @throws StorageClearedError, StoreReplacedError, StorageError
   */
  async lookForWrites(): Promise<boolean> {
    const { sequence } = await this.store.check();
    if (sequence <= this.store.known.sequence) return false;
    await this.exclusively(() => readWrites(this, sequence));
    this.mirror.announce();
    return true;
  }

  /** Where the store was cleared, it is stored anew. */
  async #reading(work: () => Promise<void>): Promise<void> {
    try {
      await this.exclusively(work);
    } catch (error) {
      if (!(error instanceof StorageClearedError)) throw error;
      await this.rebuild();
      await this.exclusively(work);
    }
    this.mirror.announce();
  }

  /**
   * After the browser has cleared the store, or it was damaged: what is still in memory is stored anew, above
   * all the outbox; everything else comes with full resyncs. One commit: whoever dies in it, or finds no room
   * for it, has lost nothing. Where another tab was first, this one adds what only it has.
   * @throws StorageError; then nothing has changed, in memory neither
   */
  async rebuild(): Promise<void> {
    await this.exclusively(async () => {
      const { known } = this.store;
      const { store, sequence } = await this.store.look();
      if (store !== 0 && store !== known.store) return readAll(this);
      // What other tabs have stored meanwhile goes with everything else unless it is in memory.
      if (store !== 0) await rescueWrites(this, sequence);
      const entries = [...this.mirror.outbox.all()].map(inFirstGeneration);
      const last = Math.max(sequence, known.sequence);
      const change = {
        deletePrefixes: TABLE_NAMES.filter((table) => table !== 'outcome').map((table) => ({
          table,
          prefix: '',
        })),
        puts: [devicePut(this.identity, this.revocation), ...entries.map(entryPut)],
        counters: {
          ...ownCounts(entries, this.own),
          sequence: store === 0 ? last + NUMBERS_LEFT_FREE : last,
        },
      };
      if (!(await this.store.replace(change, { store, sequence }))) throw new StoreReplacedError();
      known.sequence = change.counters.sequence;
      this.mirror.empty();
      this.entities.forget();
      for (const entry of entries) this.mirror.setEntry(entry);
    });
    this.mirror.announce();
  }

  /**
   * Removes everything: the device was revoked, and may not have it any more. What is left says so, that
   * nothing is stored after it, and how far the device has counted (PUSH-18). Who waits for a write is told
   * that nothing will come of it.
   * @throws NotLeadingError where another tab leads: it asks for itself
   * @throws StorageError
   */
  async wipe(): Promise<void> {
    await this.exclusively(async () => {
      const { store, sequence } = await this.store.look();
      const last = Math.max(sequence, this.store.known.sequence);
      const revocation = { isRevoked: true, times: this.revocation.times + 1 };
      const puts = [devicePut(this.identity, revocation)];
      await this.store.replaceAsLeader({ isAnew: true, puts, counters: { sequence: last } }, store);
      this.revocation = revocation;
      this.store.known.sequence = last;
      this.strayOutcomes.clear();
      this.entities.forget();
      for (const entry of this.mirror.empty()) this.mirror.setEntry(givenUp(entry));
    });
    this.mirror.announce();
  }

  /** The server has said so, and has not taken the device since: nothing is stored for its user. */
  get isRevoked(): boolean {
    return this.revocation.isRevoked;
  }

  /** The server has answered this device: where it was revoked, it is bound again, and begins from empty. */
  async admit(): Promise<void> {
    if (!this.isRevoked) return;
    await this.exclusively(async () => {
      const revocation = { ...this.revocation, isRevoked: false };
      await this.commitAsLeader({ puts: [devicePut(this.identity, revocation)] });
      this.revocation = revocation;
    });
  }

  /** @throws SyncError `closed` */
  assertOpen(): void {
    if (this.closing.aborted) throw new SyncError('closed', 'This client was closed');
  }

  /** Aborted when the client is closed: nobody waits any longer. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Takes no more work. */
  beginToClose(): void {
    this.#closing.abort();
    this.mirror.silence();
    this.store.endTerm();
  }

  /** Lets go of the store when all that was begun is done. */
  async close(): Promise<void> {
    await this.exclusively(async () => undefined);
    await this.store.close();
  }

  /** Makes the entities of a type known to the mirror. @throws SyncError `closed`, StorageError */
  async load(entityType: string): Promise<void> {
    this.assertOpen();
    await this.exclusively(async () => {
      if (this.mirror.isLoaded(entityType)) return;
      const rows: EntityRow[] = [];
      for (const scope of this.mirror.scopes.values()) {
        for (const row of await listRows(this.store, scope, entityType)) rows.push(row);
      }
      this.mirror.load(entityType, rows);
    });
    this.mirror.announce();
  }

  /** Nothing else reads and then changes what is stored meanwhile, in this tab. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  /** See {@link GuardedStore.commitAsLeader}. */
  commitAsLeader(change: Commit): Promise<void> {
    return this.store.commitAsLeader(change);
  }

  /** Something new can be pulled in these: the next pulls ask for them first. */
  askSoon(scopes: Iterable<string>): void {
    // One that is not held yet comes with the answer to any pull (PULL-22).
    for (const scope of scopes) if (this.mirror.scopes.has(scope)) this.#toAsk.add(scope);
  }

  /** Whether everything that was to be asked for has been. */
  get hasAsked(): boolean {
    return this.#held().every(({ scope, serverDigest }) => serverDigest !== null && !this.#toAsk.has(scope));
  }

  /** How many pulls it takes to ask for every scope once. */
  get pullsForAll(): number {
    return Math.max(1, Math.ceil(this.#held().length / LIMITS.scopesPerPull));
  }

  #held(): ScopeRow[] {
    return [...this.mirror.scopes.values()].filter(({ isRevoked }) => !isRevoked);
  }

  /**
   * The scopes of the next pull: those that are to be asked for soon. Where there are none, or a scope has
   * more to come, it is all of them in turn, that scope first. Undefined, for all that there are, while
   * nothing was ever pulled: a device that has lost its store was served them before, so that no pull would
   * name them to it (PULL-22).
   */
  nextScopes(): PullRequest['scopes'] | undefined {
    const held = this.#held();
    if (held.every(({ cursor }) => cursor === null)) return undefined;
    const behind = held.filter(({ serverDigest }) => serverDigest === null);
    const soon = held.filter(({ scope, serverDigest }) => serverDigest !== null && this.#toAsk.has(scope));
    const others = behind.length > 0 || soon.length === 0 ? this.#inTurn(held) : [];
    const asked = [...new Set([...behind, ...soon, ...others])].slice(0, LIMITS.scopesPerPull);
    for (const { scope } of asked) this.#toAsk.delete(scope);
    return asked.map(({ scope, cursor }) => ({ scope, cursor }));
  }

  #inTurn(held: readonly ScopeRow[]): ScopeRow[] {
    const turn = held.length > LIMITS.scopesPerPull ? this.#nextScope % held.length : 0;
    this.#nextScope = turn + LIMITS.scopesPerPull;
    return [...held.slice(turn), ...held.slice(0, turn)];
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

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const found: T[] = [];
  for (const item of items) {
    if (found.length >= most) break;
    found.push(item);
  }
  return found;
}
