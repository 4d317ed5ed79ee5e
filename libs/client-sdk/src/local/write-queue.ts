import { taggedText } from '@sync/protocol/device';
import { type VectorClock, counterOf } from '@sync/vector-clock';
import type { DeviceKey } from '../net/transport.ts';
import { type OutboxEntry, ownCounter, queuedEntry } from '../outbox/entry.ts';
import { type Draft, makeMutation } from '../outbox/make-mutation.ts';
import { baseClockOf } from '../replica/clocks.ts';
import { StorageError, isDamaged } from '../storage/store.ts';
import { SyncError } from '../sync-error.ts';
import type { LocalState } from './local-state.ts';
import { readWrites } from './read-store.ts';
import { Serial } from './serial.ts';
import { StorageClearedError, StoreReplacedError } from './guarded-store.ts';
import { entryPut } from './stored-rows.ts';

/** Writes that are stored together: as many as a push takes. */
const WRITES_AT_ONCE = 500;
/** How often a store that was made anew meanwhile is read again for a write. */
const TRIES = 3;

/** What a change of a document was made on. */
export interface DocumentBase {
  /** Of the newest delta that its person saw. */
  readonly clock: VectorClock;
  /** Undefined where the device does not know it yet. */
  readonly epoch: number | undefined;
}

interface Waiting {
  readonly draft: Draft;
  /** The clock of what its person saw: not of what came while it waited. */
  readonly seen: VectorClock;
  /** It is shown until it is stored. */
  readonly preview: OutboxEntry;
  readonly stored: (entry: OutboxEntry) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Stores what the app writes, in its order. A write is seen at once; those that come while another one is
 * being stored are stored together, in one transaction.
 */
export class WriteQueue {
  readonly #local: LocalState;
  readonly #key: DeviceKey;
  /** Writes of all types come in the order of their calls, however long the check of one takes. */
  readonly order = new Serial();
  #waiting: Waiting[] = [];
  #running: Promise<void> | null = null;

  constructor(local: LocalState, key: DeviceKey) {
    this.#local = local;
    this.#key = key;
  }

  /**
   * The entity's type must be loaded.
   * @param base where it is not what the entity shows now
   * @returns when it is stored
   * @throws SyncError `closed`, `device_revoked`; StorageError; then it is not seen any more
   */
  write(draft: Draft, base?: DocumentBase): Promise<OutboxEntry> {
    this.#local.assertOpen();
    const { mirror } = this.#local;
    const seen = base?.clock ?? mirror.stateOf(draft)?.clock ?? {};
    const preview = queuedEntry(makeMutation(draft, { sequence: -1, baseClock: {} }), base?.epoch);
    mirror.addDraft(preview);
    mirror.announce();
    return new Promise((stored, failed) => {
      this.#waiting.push({ draft, seen, preview, stored, failed });
      this.#running ??= this.#run();
    });
  }

  /** With the tag of what it says. */
  async tagged(entry: OutboxEntry): Promise<OutboxEntry> {
    const { mutation } = entry;
    return { ...entry, mutation: { ...mutation, tag: await this.#key.tag(taggedText(mutation)) } };
  }

  /** All that was taken is stored, or has failed. */
  async end(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, WRITES_AT_ONCE);
      try {
        const entries = await this.#storeAnyway(batch);
        for (const [at, { stored }] of batch.entries()) {
          const entry = entries[at];
          if (entry) stored(entry);
        }
      } catch (error) {
        for (const { preview } of batch) this.#local.mirror.removeDraft(preview);
        for (const { failed } of batch) failed(error);
      }
      this.#local.mirror.announce();
    }
    this.#running = null;
  }

  /** The store may have been cleared, made anew or damaged; a write that comes then is stored anyway. */
  async #storeAnyway(batch: readonly Waiting[]): Promise<OutboxEntry[]> {
    for (let triesLeft = TRIES; ; triesLeft -= 1) {
      try {
        return await this.#local.exclusively(() => this.#store(batch));
      } catch (error) {
        const isOther = error instanceof StorageClearedError || error instanceof StoreReplacedError;
        if (!isOther && !isDamaged(error)) throw error;
        if (triesLeft === 0) throw new StorageError('failed', error.name, { cause: error });
        await this.#local.catchUp();
      }
    }
  }

  /** Numbers and tags them; begins again where another tab has taken the same numbers. */
  async #store(batch: readonly Waiting[]): Promise<OutboxEntry[]> {
    const names = [...new Set(batch.map(({ draft }) => ownCounter(draft)))];
    for (;;) {
      if (this.#local.isRevoked) throw new SyncError('device_revoked', 'The device was revoked');
      const [sequence = 0, ...own] = await this.#local.store.counters(['sequence', ...names]);
      await readWrites(this.#local, sequence);
      const counters = new Map(names.map((name, at) => [name, own[at] ?? 0]));
      const numbered = batch.map((each, at) => this.#number(each, sequence + 1 + at, counters));
      const entries = await Promise.all(numbered.map((entry) => this.tagged(entry)));
      const isStored = await this.#local.store.commit({
        puts: entries.map(entryPut),
        expect: { sequence },
        counters: { ...Object.fromEntries(counters), sequence: sequence + batch.length },
      });
      if (!isStored) continue;
      this.#local.store.known.sequence = sequence + batch.length;
      for (const [at, entry] of entries.entries()) {
        this.#local.unsent.add(entry.mutation);
        this.#local.mirror.setEntry(entry, batch[at]?.preview);
      }
      return entries;
    }
  }

  #number({ draft, seen, preview }: Waiting, sequence: number, counters: Map<string, number>): OutboxEntry {
    const name = ownCounter(draft);
    const { own } = this.#local;
    const baseClock = baseClockOf(seen, own, counters.get(name) ?? 0);
    counters.set(name, counterOf(baseClock, own) + 1);
    return { ...preview, mutation: { ...preview.mutation, sequence, baseClock } };
  }
}
