import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock/clock.ts';
import type { HandClock } from '../../clock/hand-clock.ts';
import { IDENTITY, KEY } from '../../local/testing/crashing-device.ts';
import type { Answer, Call, Transport } from '../../net/transport.ts';
import { type MemoryDisk, MemoryStore } from '../../storage/memory-store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from '../../storage/store.ts';
import { FaultyStore } from '../../testing/faulty-store.ts';
import type { HubTabs, TabsHub } from '../../testing/memory-tabs.ts';
import { type SyncClient, createSyncClient } from '../create-sync-client.ts';
import type { EntityType } from '../entity-type.ts';

const ENTITIES = { note: {} as EntityType };

/** Everything that needs no time has happened. */
export async function quiet(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What all tabs of a browser have in common. */
export interface Browser {
  readonly hub: TabsHub;
  readonly disk: MemoryDisk;
  readonly clock: HandClock;
  readonly transport: Transport;
}

/** A tab with a client of its own. Frozen, nothing in it goes on; killed, nothing ever does. */
export class HandTab {
  readonly #tabs: HubTabs;
  readonly store: FaultyStore;
  #isDead = false;
  #thawed: Promise<void> | null = null;
  #thaw: () => void = () => undefined;
  readonly client: Promise<SyncClient<typeof ENTITIES>>;

  constructor({ hub, disk, clock, transport }: Browser) {
    this.#tabs = hub.open();
    this.store = new FaultyStore(new GatedStore(new MemoryStore(disk), () => this.#gate()));
    this.client = createSyncClient({
      identity: IDENTITY,
      key: KEY,
      store: this.store,
      entities: ENTITIES,
      tabs: this.#tabs,
      clock: this.#clockOf(clock),
      random: () => 0.5,
      newId: randomUUID,
      transport: { send: <T>(call: Call) => this.#send<T>(transport, call) },
    });
  }

  get isFrozen(): boolean {
    return this.#thawed !== null;
  }

  freeze(): void {
    this.#tabs.freeze();
    this.#thawed ??= new Promise((resolve) => (this.#thaw = resolve));
  }

  thaw(): void {
    this.#thawed = null;
    this.#thaw();
    this.#tabs.thaw();
  }

  kill(): void {
    this.#isDead = true;
    this.store.kill();
    this.#tabs.kill();
  }

  async #gate(): Promise<void> {
    while (this.#thawed) await this.#thawed;
  }

  async #send<T>(transport: Transport, call: Call): Promise<Answer<T>> {
    const answer = await transport.send<T>(call);
    await this.#gate();
    return this.#isDead ? new Promise(() => undefined) : answer;
  }

  #clockOf(clock: HandClock): Clock {
    const run = async (due: () => void): Promise<void> => {
      await this.#gate();
      if (!this.#isDead) due();
    };
    return {
      now: () => clock.now(),
      setTimer: (ms, due) => {
        let isCancelled = false;
        const cancel = clock.setTimer(ms, () => void run(() => (isCancelled ? undefined : due())));
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }
}

/** A store whose answers wait: what was asked for is done all the same. */
class GatedStore implements Store {
  readonly #inner: Store;
  readonly #gate: () => Promise<void>;

  constructor(inner: Store, gate: () => Promise<void>) {
    this.#inner = inner;
    this.#gate = gate;
  }

  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    return this.#gated(this.#inner.get(table, keys));
  }

  list(table: TableName, prefix: string): Promise<StoredRow[]> {
    return this.#gated(this.#inner.list(table, prefix));
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    return this.#gated(this.#inner.keys(table, prefix));
  }

  counters(names: readonly string[]): Promise<number[]> {
    return this.#gated(this.#inner.counters(names));
  }

  commit(change: Commit): Promise<boolean> {
    return this.#gated(this.#inner.commit(change));
  }

  clear(): Promise<void> {
    return this.#gated(this.#inner.clear());
  }

  close(): Promise<void> {
    return this.#gated(this.#inner.close());
  }

  async #gated<T>(work: Promise<T>): Promise<T> {
    // Not before another turn, as a disk answers.
    await new Promise((resolve) => setImmediate(resolve));
    const result = await work;
    await this.#gate();
    return result;
  }
}
