import type { LocalMutation } from '@sync/protocol';
import { type ReplicaId, deviceReplica } from '@sync/vector-clock';
import type { DeviceIdentity } from '../net/transport.ts';
import type { EntityRow } from '../replica/rows.ts';
import { AppVersions } from '../schema/app-versions.ts';
import { type Commit, type Store, isDamaged } from '../storage/store.ts';
import { SyncError } from '../sync-error.ts';
import { Asking } from './asking.ts';
import { GuardedStore, type Known, StorageClearedError, type Told, isBehind } from './guarded-store.ts';
import { Listeners } from './listeners.ts';
import { Mirror } from './mirror.ts';
import { readNews, readTold, readWrites } from './read-store.ts';
import { Serial } from './serial.ts';
import { openStore, rebuildStore, wipeStore } from './store-life.ts';
import { StoredEntities, listRows } from './stored-entities.ts';
import { type Revocation, devicePut, scopePut } from './stored-rows.ts';

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
  readonly asking: Asking;
  readonly #serial = new Serial();
  /** Told when the client is closed. No AbortSignal: it looks through all its listeners to add another. */
  readonly closing = new Listeners<void>();
  isClosed = false;
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
  /** Writes and outcomes of writes that could not be read any more, since the store began. */
  lostWrites = 0;
  /** Told when this tab has stored everything anew, and the engine did not ask for it. */
  onRebuilt: () => void = () => undefined;

  constructor(store: Store, identity: DeviceIdentity, versions = new AppVersions()) {
    this.versions = versions;
    this.mirror = new Mirror(versions);
    this.asking = new Asking(this.mirror.scopes);
    this.store = new GuardedStore(store);
    this.entities = new StoredEntities(this.store);
    this.identity = identity;
    this.own = deviceReplica(identity.deviceId);
  }

  /** See {@link openStore}. */
  open(): Promise<void> {
    return this.exclusively(() => openStore(this));
  }

  /**
   * Begins a term, and reads what was stored before it.
   * @throws StoreReplacedError, SyncError, StorageError; then no term was begun
   */
  async lead(): Promise<void> {
    await this.reading(async () => {
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
    return this.reading(async () => {
      if (!told || isBehind(this.store.known, told)) await readNews(this);
    });
  }

  /** Another tab has stored this. @throws SyncError, StorageError */
  hear(told: Told): Promise<void> {
    return this.reading(() => readTold(this, told));
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

  /**
   * Reads and then changes what is stored; nothing else does meanwhile, in this tab. Where the store was
   * cleared, or something of it is damaged, it is stored anew, and read then.
   * @throws StorageError
   */
  async reading<T>(work: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await this.exclusively(work);
    } catch (error) {
      if (!(error instanceof StorageClearedError) && !isDamaged(error)) throw error;
      await this.rebuild();
      this.onRebuilt();
      result = await this.exclusively(work);
    }
    this.mirror.announce();
    return result;
  }

  /**
   * After the browser has cleared the store, or it was damaged: what is still in memory is stored anew, above
   * all the outbox; everything else comes with full resyncs. One commit: whoever dies in it, or finds no room
   * for it, has lost nothing. Where another tab was first, this one adds what only it has.
   * @throws StorageError; then nothing has changed, in memory neither
   */
  async rebuild(): Promise<void> {
    await this.exclusively(() => rebuildStore(this));
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
    await this.exclusively(() => wipeStore(this));
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
    if (this.isClosed) throw new SyncError('closed', 'This client was closed');
  }

  /** Takes no more work. */
  beginToClose(): void {
    this.isClosed = true;
    this.closing.tell();
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
    await this.reading(async () => {
      if (this.mirror.isLoaded(entityType)) return;
      const rows: EntityRow[] = [];
      for (const scope of this.mirror.scopes.values()) {
        for (const row of await listRows(this.store, scope, entityType)) rows.push(row);
      }
      this.mirror.load(entityType, rows);
    });
  }

  /** Nothing else reads and then changes what is stored meanwhile, in this tab. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  /** See {@link GuardedStore.commitAsLeader}. */
  commitAsLeader(change: Commit): Promise<void> {
    return this.store.commitAsLeader(change);
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
