import { type VectorClock, canonicalClockJson, counterOf } from '@sync/vector-clock';
import type { EntitySet } from '../client/entity-set.ts';
import { Listeners } from '../local/listeners.ts';
import { Write } from '../client/write.ts';
import { NotLeadingError, StorageClearedError, StoreReplacedError } from '../local/guarded-store.ts';
import { readNews } from '../local/read-store.ts';
import { entryPut } from '../local/stored-rows.ts';
import { type OutboxEntry, isShown } from '../outbox/entry.ts';
import { baseClockOf, hasAll } from '../replica/clocks.ts';
import { type DocumentRow, type EntityRow, entityKey } from '../replica/rows.ts';
import type { LocalState } from '../local/local-state.ts';
import { type Place, placeKey } from '../local/outbox-index.ts';
import type { DocumentBase } from '../local/write-queue.ts';

/** A change of a document that this device has made, and that no pull has brought back yet. */
export interface OwnIncrement {
  readonly write: Write;
  /** base64, Yjs update v1 */
  readonly update: string;
}

/** A document as this device has it. Merged in any order, its increments are the document. */
export interface DocumentState extends DocumentBase {
  /** Those that were pulled of the present epoch, over all scopes: base64, Yjs updates v1. */
  readonly pulled: readonly string[];
  /** In the order of writing. Of an earlier epoch there are none: they will be refused. */
  readonly own: readonly OwnIncrement[];
}

/** An increment together with the one before it. */
export interface Joined {
  /** Of the one before. */
  readonly mutationId: string;
  /** What both say: base64, Yjs update v1 */
  readonly update: string;
}

/** The entities of a type, as far as documents go. */
export type Source = Pick<EntitySet<object>, 'entityType' | 'merge'> & {
  readonly parts: Pick<EntitySet<object>['parts'], 'local' | 'writes'>;
};

/** The increments of one document, for whoever puts them together. */
export class Increments {
  readonly #local: LocalState;
  readonly #place: Place;
  readonly #entities: Source;
  /** What was read last, until a leader has stored something again. */
  #read: { readonly at: string; readonly rows: readonly DocumentRow[] } | null = null;
  /** Where it was read last; null where there was none. */
  #scope: string | null = null;

  /** The entity's type must be loaded. */
  constructor(entities: Source, entityId: string) {
    this.#entities = entities;
    this.#local = entities.parts.local;
    this.#place = { entityType: entities.entityType, entityId };
  }

  /**
   * @returns null where there is no such entity on the device, or it is deleted; `awaited` where it was read
   *   before, and is to come again because the store was begun anew
   * @throws StorageError
   */
  read(): Promise<DocumentState | 'awaited' | null> {
    this.#local.assertOpen();
    return this.#local.reading(async () => {
      const { mirror } = this.#local;
      const { entityType, entityId } = this.#place;
      // Of what a leader has stored, a tab may have read that the scope is there, and not yet what is in it.
      if (this.#isMissing) await readNews(this.#local);
      const entity = mirror.get(entityType, entityId);
      if (!entity && this.#awaitedIn !== null) return 'awaited';
      if (!entity) {
        this.#scope = null;
        return null;
      }
      const pulled = mirror.rowsOf(entityType, entityId);
      const rows = await this.#rows(pulled);
      // Not before its increments are read as well: they may be what is damaged.
      this.#scope = entity.scope;
      const epoch = epochOf(pulled, rows);
      const isPresent = (other: number | undefined): boolean =>
        epoch === undefined || (other ?? epoch) === epoch;
      const own = [...mirror.outbox.ofPlace(this.#place)].flatMap((entry): OwnIncrement[] => {
        const { update } = entry.mutation;
        if (update === undefined || !isShown(entry) || !isPresent(entry.epoch)) return [];
        return [{ write: new Write(this.#local, entry), update }];
      });
      return {
        epoch,
        clock: clockOf(pulled.filter((row) => isPresent(epochIn(row)))),
        pulled: rows.filter((row) => isPresent(row.epoch)).map(({ update }) => update),
        own,
      };
    });
  }

  /** @returns what one says that has not left the outbox: base64 */
  updateOf(mutationId: string): string | undefined {
    return this.#local.mirror.outbox.of(mutationId)?.mutation.update;
  }

  /** Calls `listener` when `read` may have another answer. @returns stops it */
  watch(listener: () => void): () => void {
    const { mirror } = this.#local;
    const key = placeKey(this.#place);
    const watched = mirror.watched.get(key) ?? { listeners: new Listeners<void>() };
    mirror.watched.set(key, watched);
    return watched.listeners.add(() => {
      if (!this.#local.isClosed) listener();
    });
  }

  /**
   * Stores a change of the document: in the one before it, where nobody has sent that one; else as a write of
   * its own.
   * @param update base64, Yjs update v1
   * @param base what it was made on
   * @param both where it may be joined to the one before
   * @returns the write that it is in
   * @throws SyncError `entity_unknown`, `data_too_large`, `closed`, `device_revoked`; StorageError
   */
  async merge(update: string, base: DocumentBase, both?: Joined): Promise<Write> {
    const entry = both && (await this.#join(both, base));
    if (entry) return new Write(this.#local, entry);
    return this.#entities.merge(this.#place.entityId, update, base, async () => {
      // As in `read`.
      if (this.#isMissing) await this.#local.catchUp();
      return this.#awaitedIn;
    });
  }

  /** It was there when it was read last. */
  get #isMissing(): boolean {
    const { entityType, entityId } = this.#place;
    return this.#scope !== null && !this.#local.mirror.get(entityType, entityId);
  }

  /** The scope in which it was, where that has to be pulled from its beginning; else null. */
  get #awaitedIn(): string | null {
    const { mirror, isRevoked } = this.#local;
    const { entityType, entityId } = this.#place;
    if (this.#scope === null || isRevoked || mirror.rowsOf(entityType, entityId).length > 0) return null;
    const row = mirror.scopes.get(this.#scope);
    return row && (row.isRevoked || row.syncedAt !== null) ? null : this.#scope;
  }

  /** @returns null where the one before is to stay as it is */
  async #join({ mutationId, update }: Joined, base: DocumentBase): Promise<OutboxEntry | null> {
    const local = this.#local;
    const joining = local.exclusively(async () => {
      const before = local.mirror.outbox.of(mutationId);
      if (!before || !this.#takesMore(before, base)) return null;
      const mutation = { ...before.mutation, update };
      const entry = await this.#entities.parts.writes.tagged({ ...before, mutation });
      // In the term in which the one before was written, and in no other: nobody else has sent it.
      await local.commitAsLeader({ puts: [entryPut(entry)] });
      local.unsent.add(entry.mutation);
      local.mirror.setEntry(entry);
      return entry;
    });
    try {
      const entry = await joining;
      local.mirror.announce();
      return entry;
    } catch (error) {
      if (isElsewhere(error)) return null;
      throw error;
    }
  }

  /** Whether an increment that was made on this base may still become a part of it. */
  #takesMore(entry: OutboxEntry, { clock, epoch }: DocumentBase): boolean {
    const { own, unsent, mirror } = this.#local;
    const { mutation, state } = entry;
    const { baseClock = {} } = mutation;
    const newest = [...mirror.outbox.ofPlace(this.#place)].at(-1);
    if (!unsent.has(mutation) || state !== 'queued' || newest !== entry || entry.epoch !== epoch)
      return false;
    const clockNow = baseClockOf(clock, own, counterOf(baseClock, own));
    return canonicalClockJson(clockNow) === canonicalClockJson(baseClock);
  }

  async #rows(pulled: readonly EntityRow[]): Promise<readonly DocumentRow[]> {
    const { store } = this.#local;
    const at = `${store.known.store} ${store.known.led}`;
    if (this.#read?.at === at) return this.#read.rows;
    const { entityType, entityId } = this.#place;
    const rows: DocumentRow[] = [];
    for (const { scope } of pulled) {
      const listed = await store.list('document', entityKey(scope, entityType, entityId));
      rows.push(...listed.map(({ value }) => value as unknown as DocumentRow));
    }
    this.#read = { at, rows };
    return rows;
  }
}

/** Another tab leads, or has begun the store anew: writes see to that. */
function isElsewhere(error: unknown): boolean {
  return [NotLeadingError, StorageClearedError, StoreReplacedError].some((kind) => error instanceof kind);
}

/** A deletion has none, and neither has a delta that says nothing of it. */
function epochIn({ delta }: EntityRow): number | undefined {
  const epoch = delta?.data?.['epoch'];
  return typeof epoch === 'number' ? epoch : undefined;
}

/** What was pulled of the entity counts: another tab may have stored increments of a later one by now. */
function epochOf(pulled: readonly EntityRow[], rows: readonly DocumentRow[]): number | undefined {
  const told = pulled.flatMap((row) => epochIn(row) ?? []);
  const known = told.length > 0 ? told : rows.map(({ epoch }) => epoch);
  return known.length > 0 ? Math.max(...known) : undefined;
}

function clockOf(pulled: readonly EntityRow[]): VectorClock {
  let newest: VectorClock = {};
  for (const { delta } of pulled) if (delta && hasAll(delta.clock, newest)) newest = delta.clock;
  return newest;
}
