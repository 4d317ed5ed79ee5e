import type { ConflictRecord, ConflictResponse, RemoteDelta, Resolution } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import { type Clock, systemClock } from '../clock/clock.ts';
import { Listeners } from '../local/listeners.ts';
import { LocalState } from '../local/local-state.ts';
import { type OutcomeRow, listOutcomes } from '../local/store-outcomes.ts';
import { WriteQueue } from '../local/write-queue.ts';
import type { DeviceIdentity, DeviceKey, Transport } from '../net/transport.ts';
import { type Store, keyOf } from '../storage/store.ts';
import type { Command } from '../tabs/messages.ts';
import { type Tabs, alone } from '../tabs/tabs.ts';
import { EntitySet } from './entity-set.ts';
import type { EntityType } from './entity-type.ts';
import { liftPushes } from '../schema/lift-pushes.ts';
import { AppVersions } from '../schema/app-versions.ts';
import { StatusReader, type SyncStatus } from './status.ts';
import { SyncError } from '../sync-error.ts';
import { Tab } from './tab.ts';

/** The entity types of an app, by name. */
export type EntityTypes = Readonly<Record<string, EntityType<object>>>;
type DataOf<T> = T extends EntityType<infer Data> ? Data : never;

/** What {@link createSyncClient} works with. */
export interface SyncClientOptions<Types extends EntityTypes> {
  /** As the identity service has bound the device. */
  readonly identity: DeviceIdentity;
  /** Of the same device: signs what it writes. */
  readonly key: DeviceKey;
  /** The way to the gateway. */
  readonly transport: Transport;
  /** Of this device alone; it is closed with the client. */
  readonly store: Store;
  /** The entity types of the app, by name. */
  readonly entities: Types;
  /**
   * How the clients of this store find each other. Left out, they are the tabs and workers of the browser,
   * where it has Web Locks and BroadcastChannel and the store is in IndexedDB; else one client has the store
   * for itself.
   */
  readonly tabs?: Tabs;
  /** The platform's unless given, for tests. */
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  /** A UUID. */
  readonly newId?: () => string;
}

/** A ConflictRecord as the device holds it: what was pulled, or what `resolve` has answered. */
export type Conflict = ConflictRecord;

/**
 * Opens what the device holds. Nothing is sent before `start`.
 * @throws SyncError `other_device` where the store belongs to another one
 * @throws SyncError `upcasters_invalid` where an entity type says so of its versions
 * @throws StorageError
 */
export async function createSyncClient<const Types extends EntityTypes>(
  options: SyncClientOptions<Types>,
): Promise<SyncClient<Types>> {
  const { store, identity, key, clock = systemClock, random = Math.random } = options;
  const versions = new AppVersions(options.entities);
  const local = new LocalState(store, identity, versions);
  const transport = liftPushes(options.transport, versions, key);
  const { tabs = store.tabs ?? alone } = options;
  const tab = new Tab({ local, transport, clock, random, tabs });
  await tab.join();
  return new SyncClient({ ...options, transport }, tab);
}

/**
 * A device: what the app reads and writes, and how it stands with its server. After `close`, every call
 * but `status`, `debug` and `close` throws SyncError `closed`.
 */
export class SyncClient<Types extends EntityTypes> {
  readonly #options: SyncClientOptions<Types>;
  readonly #local: LocalState;
  readonly #tab: Tab;
  readonly #writes: WriteQueue;
  readonly #sets = new Map<string, EntitySet<object>>();
  readonly #statusListeners = new Listeners<SyncStatus>();
  readonly #reader: StatusReader;
  #status: SyncStatus;
  readonly #stopListening: () => void;
  #closed: Promise<void> | null = null;

  constructor(options: SyncClientOptions<Types>, tab: Tab) {
    const { local } = tab;
    this.#options = options;
    this.#local = local;
    this.#tab = tab;
    this.#writes = new WriteQueue(local, options.key);
    this.#reader = new StatusReader(local);
    this.#status = this.#reader.read(tab.shown);
    tab.listen(() => this.#tellStatus());
    this.#stopListening = local.mirror.listen(() => this.#tellStatus());
  }

  /** The entities of a type. @throws SyncError `entity_type_unknown` */
  entity<Name extends keyof Types & string>(name: Name): EntitySet<DataOf<Types[Name]>> {
    this.#local.assertOpen();
    const known = this.#sets.get(name);
    if (known) return known as unknown as EntitySet<DataOf<Types[Name]>>;
    // Not what every object inherits: an entity type may be called `constructor`.
    const type = new Map(Object.entries(this.#options.entities)).get(name);
    if (!type) throw new SyncError('entity_type_unknown', `The app has not named an entity type ${name}`);
    const { clock = systemClock, newId = () => crypto.randomUUID() } = this.#options;
    const set = new EntitySet<object>(name, type, {
      local: this.#local,
      writes: this.#writes,
      stamp: () => ({ mutationId: newId(), occurredAt: new Date(clock.now()).toISOString() }),
      onWrite: () => this.#tab.wrote(),
    });
    this.#sets.set(name, set);
    return set as unknown as EntitySet<DataOf<Types[Name]>>;
  }

  /** Begins to sync, and goes on until `stop`: the device, whichever of its tabs is asked. */
  start(): void {
    this.#command({ kind: 'start' });
  }

  /** Sends nothing more, in no tab. Reads and writes go on; `start` begins again. */
  stop(): void {
    this.#command({ kind: 'stop' });
  }

  /** Stays offline until it is called with false, whatever the network does. */
  forceOffline(isForced = true): void {
    this.#command({ kind: isForced ? 'force_offline' : 'allow_network' });
  }

  /** What the platform says of the network: browsers fire `online` and `offline`. */
  networkChanged(isThere: boolean): void {
    this.#command({ kind: isThere ? 'network_back' : 'network_lost' });
  }

  /** Asks the transport again, when the app has got a token of its user. */
  tokenChanged(): void {
    this.#command({ kind: 'new_token' });
  }

  #command(command: Command): void {
    this.#local.assertOpen();
    this.#tab.command(command);
  }

  /** The same object until something in it changes. */
  get status(): SyncStatus {
    return this.#status;
  }

  /** @returns stops it */
  onStatus(listener: (status: SyncStatus) => void): () => void {
    this.#local.assertOpen();
    return this.#statusListeners.add(listener);
  }

  /** What did not simply come to stand, oldest first, until `dismiss`. */
  async outcomes(): Promise<OutcomeRow[]> {
    this.#local.assertOpen();
    return listOutcomes(this.#local);
  }

  /** The app has dealt with it. */
  async dismiss(mutationId: string): Promise<void> {
    this.#local.assertOpen();
    // Of whatever store: where it was made anew, there is nothing left to delete.
    await this.#local.store.commitIf({ deletes: [{ table: 'outcome', key: keyOf(mutationId) }] }, {});
    this.#local.mirror.outcomesChanged();
    this.#local.mirror.announce();
  }

  /** Calls `listener` when `outcomes` has another answer. @returns stops it */
  onOutcomes(listener: () => void): () => void {
    this.#local.assertOpen();
    return this.#local.mirror.listen(({ hasOutcomes }) => {
      if (hasOutcomes) listener();
    });
  }

  /**
   * Conflicts of this user, as they were pulled. A record is never changed: both sides are in the schema
   * version that the server had then, which it does not name, so the app's upcasters are not applied.
   */
  async conflicts(): Promise<Conflict[]> {
    await this.#local.load('conflict');
    return this.#local.mirror.list('conflict').map(({ data }) => data as unknown as Conflict);
  }

  /** Calls `listener` when `conflicts`, once it was called, has another answer. @returns stops it */
  onConflicts(listener: () => void): () => void {
    return this.#local.mirror.listen(({ entities }) => {
      if (entities.has('conflict')) listener();
    });
  }

  /**
   * What the server has of an entity, as it was pulled last: without this device's own writes, in the schema
   * version of the app. Null where nothing was pulled; of one that is deleted `data` is null.
   */
  async serverState(entity: Pick<Conflict, 'entityType' | 'entityId'>): Promise<RemoteDelta | null> {
    await this.#local.load(entity.entityType);
    const { mirror, versions } = this.#local;
    return versions.stateOf(mirror.stateOf(entity));
  }

  /**
   * Decides an open conflict; needs the server.
   * @param expectedClock of the entity on which the person decided; where it is left out, as the device has
   * it
   * @throws SyncError `request_failed`; its problem says whether the entity has moved since. `entity_unknown`
   * where the device has heard of the conflict neither by an outcome nor by a pull
   */
  async resolve(conflictId: string, resolution: Resolution, expectedClock?: VectorClock): Promise<Conflict> {
    this.#local.assertOpen();
    const answer = await this.#options.transport.send<ConflictResponse>({
      method: 'POST',
      path: '/sync/v1/resolve-conflict',
      body: { conflictId, resolution, expectedClock: expectedClock ?? (await this.#clockOf(conflictId)) },
      timeoutMs: 30_000,
    });
    if (!answer.ok) throw new SyncError('request_failed', answer.detail, { failure: answer });
    this.#tab.command({ kind: 'hint' });
    return answer.body.conflict;
  }

  async #clockOf(conflictId: string): Promise<VectorClock> {
    const record = (await this.conflicts()).find((each) => each.conflictId === conflictId);
    const entity = record ?? (await this.#writeInConflict(conflictId));
    const clock = (entity && (await this.serverState(entity))?.clock) ?? record?.clocks.ours;
    if (!clock) throw new SyncError('entity_unknown', `The device knows no conflict ${conflictId}`);
    return clock;
  }

  /** An outcome names its conflict before a pull brings the record. */
  async #writeInConflict(conflictId: string) {
    return (await this.outcomes()).find(({ outcome }) => outcome.conflictId === conflictId)?.mutation;
  }

  /** For support: how it stands, without any content of the user. */
  debug() {
    const { identity } = this.#options;
    const { kind = null, status = null, detail = null } = this.#tab.lastFailure ?? {};
    return {
      device: { ...identity },
      status: this.#status,
      engine: this.#tab.shown.engine,
      lastFailure: { kind, status, detail },
    };
  }

  /**
   * Ends this client, and no other of the device: another tab leads from then on. Lets go of the store. What
   * was typed in open documents is stored first. What is being written is stored, or fails; whoever waits for
   * anything else is told `closed`, as is every call after it.
   * @throws StorageError
   * @throws what `destroy` of a document does; then the client is closed all the same
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { beforeClose } = this.#local;
    try {
      if (beforeClose) await beforeClose();
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    this.#local.beginToClose();
    this.#tab.resign();
    this.#stopListening();
    try {
      await this.#writes.end();
      await this.#local.close();
    } finally {
      this.#tab.leave();
    }
  }

  #tellStatus(): void {
    const status = this.#reader.read(this.#tab.shown);
    if (status === this.#status) return;
    this.#status = status;
    this.#statusListeners.tell(status);
  }
}
