import type { ConflictRecord, ConflictResponse, RemoteDelta, Resolution } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import { type Clock, systemClock } from '../clock/clock.ts';
import { Listeners } from '../local/listeners.ts';
import { LocalState } from '../local/local-state.ts';
import type { OutcomeRow } from '../local/store-answers.ts';
import { WriteQueue } from '../local/write-queue.ts';
import type { DeviceIdentity, DeviceKey, Transport } from '../net/transport.ts';
import { type Store, keyOf } from '../storage/store.ts';
import { EntitySet } from './entity-set.ts';
import type { EntityType } from './entity-type.ts';
import { StatusReader, type SyncStatus } from './status.ts';
import { SyncError } from '../sync-error.ts';
import { SyncLoop } from './sync-loop.ts';

/** The entity types of an app, by name. */
export type EntityTypes = Readonly<Record<string, EntityType<object>>>;
type DataOf<T> = T extends EntityType<infer Data> ? Data : never;

export interface SyncClientOptions<Types extends EntityTypes> {
  readonly identity: DeviceIdentity;
  readonly key: DeviceKey;
  readonly transport: Transport;
  readonly store: Store;
  readonly entities: Types;
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
 * @throws StorageError
 */
export async function createSyncClient<const Types extends EntityTypes>(
  options: SyncClientOptions<Types>,
): Promise<SyncClient<Types>> {
  const local = new LocalState(options.store, options.identity);
  await local.open();
  return new SyncClient(options, local);
}

/** A device: what the app reads and writes, and how it stands with its server. */
export class SyncClient<Types extends EntityTypes> {
  readonly #options: SyncClientOptions<Types>;
  readonly #local: LocalState;
  readonly #loop: SyncLoop;
  readonly #writes: WriteQueue;
  readonly #sets = new Map<string, EntitySet<object>>();
  readonly #statusListeners = new Listeners<SyncStatus>();
  readonly #reader: StatusReader;
  #status: SyncStatus;
  readonly #stopListening: () => void;

  constructor(options: SyncClientOptions<Types>, local: LocalState) {
    const { transport, key, clock = systemClock, random = Math.random } = options;
    this.#options = options;
    this.#local = local;
    this.#writes = new WriteQueue(local, key);
    this.#loop = new SyncLoop({
      local,
      transport,
      clock,
      random,
      onState: () => this.#tellStatus(),
      onDeposed: () => this.stop(),
    });
    this.#reader = new StatusReader(local);
    this.#status = this.#reader.read(this.#loop.state, 0);
    this.#stopListening = local.mirror.listen(() => this.#tellStatus());
  }

  /** The entities of a type. @throws SyncError `entity_type_unknown` */
  entity<Name extends keyof Types & string>(name: Name): EntitySet<DataOf<Types[Name]>> {
    const known = this.#sets.get(name);
    if (known) return known as unknown as EntitySet<DataOf<Types[Name]>>;
    const type = this.#options.entities[name];
    if (!type) throw new SyncError('entity_type_unknown', `The app has not named an entity type ${name}`);
    const { clock = systemClock, newId = () => crypto.randomUUID() } = this.#options;
    const set = new EntitySet<object>(name, type, {
      local: this.#local,
      writes: this.#writes,
      stamp: () => ({ mutationId: newId(), occurredAt: new Date(clock.now()).toISOString() }),
      onWrite: () => this.#loop.dispatch({ kind: 'wrote' }),
    });
    this.#sets.set(name, set);
    return set as unknown as EntitySet<DataOf<Types[Name]>>;
  }

  /** Begins to sync, and goes on until `stop`. */
  start(): void {
    this.#loop.dispatch({ kind: 'start' });
  }

  /** Sends nothing more. Reads and writes go on; `start` begins again. */
  stop(): void {
    this.#loop.dispatch({ kind: 'stop' });
  }

  /** Stays offline until it is called with false, whatever the network does. */
  forceOffline(isForced = true): void {
    this.#loop.dispatch({ kind: isForced ? 'force_offline' : 'allow_network' });
  }

  /** What the platform says of the network: browsers fire `online` and `offline`. */
  networkChanged(isThere: boolean): void {
    this.#loop.dispatch({ kind: isThere ? 'network_back' : 'network_lost' });
  }

  /** Asks the transport again, when the app has got a token of its user. */
  tokenChanged(): void {
    this.#loop.dispatch({ kind: 'new_token' });
  }

  /** The same object until something in it changes. */
  get status(): SyncStatus {
    return this.#status;
  }

  /** @returns stops it */
  onStatus(listener: (status: SyncStatus) => void): () => void {
    return this.#statusListeners.add(listener);
  }

  /** What did not simply come to stand, oldest first, until `dismiss`. */
  async outcomes(): Promise<OutcomeRow[]> {
    const rows = await this.#options.store.list('outcome', '');
    return rows
      .map(({ value }) => value as unknown as OutcomeRow)
      .sort((one, other) => (one.at < other.at ? -1 : 1));
  }

  /** The app has dealt with it. */
  async dismiss(mutationId: string): Promise<void> {
    await this.#options.store.commit({ deletes: [{ table: 'outcome', key: keyOf(mutationId) }] });
    this.#local.mirror.outcomesChanged();
    this.#local.mirror.announce();
  }

  /** Calls `listener` when `outcomes` has another answer. @returns stops it */
  onOutcomes(listener: () => void): () => void {
    return this.#local.mirror.listen(({ hasOutcomes }) => {
      if (hasOutcomes) listener();
    });
  }

  /** Conflicts of this user, as they were pulled. */
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
   * What the server has of an entity, as it was pulled last: without this device's own writes. Null where
   * nothing was pulled; of one that is deleted `data` is null.
   */
  async serverState(entity: Pick<Conflict, 'entityType' | 'entityId'>): Promise<RemoteDelta | null> {
    await this.#local.load(entity.entityType);
    return this.#local.mirror.stateOf(entity);
  }

  /**
   * Decides an open conflict; needs the server.
   * @param expectedClock of the entity on which the person decided; where it is left out, as the device has
   * it
   * @throws SyncError `request_failed`; its problem says whether the entity has moved since
   */
  async resolve(conflictId: string, resolution: Resolution, expectedClock?: VectorClock): Promise<Conflict> {
    const answer = await this.#options.transport.send<ConflictResponse>({
      method: 'POST',
      path: '/sync/v1/resolve-conflict',
      body: { conflictId, resolution, expectedClock: expectedClock ?? (await this.#clockOf(conflictId)) },
      timeoutMs: 30_000,
    });
    if (!answer.ok) throw new SyncError('request_failed', answer.detail, { failure: answer });
    this.#loop.dispatch({ kind: 'hint' });
    return answer.body.conflict;
  }

  async #clockOf(conflictId: string): Promise<VectorClock> {
    const record = (await this.conflicts()).find((each) => each.conflictId === conflictId);
    if (!record) throw new SyncError('entity_unknown', `Conflict ${conflictId} was not pulled yet`);
    return (await this.serverState(record))?.clock ?? record.clocks.ours;
  }

  /** For support: how it stands, without any content of the user. */
  debug() {
    const { identity } = this.#options;
    const { kind = null, status = null, detail = null } = this.#loop.lastFailure ?? {};
    return {
      device: { ...identity },
      status: this.#status,
      engine: this.#loop.state,
      lastFailure: { kind, status, detail },
    };
  }

  /** Stops, and lets go of the store. Nothing that was stored is lost. */
  async close(): Promise<void> {
    this.stop();
    this.#stopListening();
    await this.#options.store.close();
  }

  #tellStatus(): void {
    const status = this.#reader.read(this.#loop.state, this.#loop.aheadMs);
    if (status === this.#status) return;
    this.#status = status;
    this.#statusListeners.tell(status);
  }
}
