import { readJson } from '@sync/domain';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@sync/postgres';
import type { VectorClock } from '@sync/vector-clock';
import type { Caller } from '../access/caller.ts';
import { addressKey, type EntityAddress } from './entity-address.ts';
import { type EntityHead, type HeadColumns, headOf, isUnread, type KnownEntity } from './entity-head.ts';

/** An entity whose head is wanted once the read model has it at this revision. */
export interface AwaitedHead<T> {
  readonly work: T;
  readonly revision: number;
}

/** Whose device asks: it is shown what its scopes have, and no more. */
export type Asker = Pick<Caller, 'tenantId' | 'userId' | 'deviceId'>;

/** What is asked about an entity. */
interface AskedEntity {
  readonly address: EntityAddress;
  /**
   * Its head is read only where the read model has this revision or a later one; null: whichever it has.
   */
  readonly fromRevision: number | null;
}

/** `int8` arrives as text. */
interface KnownColumns extends HeadColumns {
  readonly place: number;
  readonly told_revision: string | null;
  readonly told_deleted: boolean | null;
  readonly told_clock: string | null;
  readonly counted: string;
  readonly restored: boolean;
  readonly own_sequence: string | null;
}

const NOTHING_KNOWN: KnownEntity = { head: null, told: null, counted: 0, restored: false, ownSequence: null };
const STEP_MS = 20;
/** How long somebody waits for the projection to show what its owner has, or what a device was told of. */
export const PROJECTION_WAIT_MS = 500;
/** Of entities that are read at once: for one push, or one run of the dispatcher. */
export const HEAD_BYTES = 16 * 1024 * 1024;

/** Reads entities as devices see them, for the rare mutation whose owner is ahead of the read model. */
export class ReadHeads {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * One round trip. @returns per address what its scope has now; null also for a scope that the user does not
   * hold
   */
  async read(asker: Asker, addresses: readonly EntityAddress[]): Promise<(EntityHead | null)[]> {
    return (await this.know(asker, addresses)).map(({ head }) => head);
  }

  /**
   * One round trip; each entity is read once, however many addresses name it.
   * @returns one per address; of a scope that the user does not hold nothing is known
   */
  async know(asker: Asker, addresses: readonly EntityAddress[]): Promise<KnownEntity[]> {
    return this.#ask(
      asker,
      addresses.map((address) => ({ address, fromRevision: null })),
    );
  }

  /** As `know`, but reads no entity: only what the ledger knows of each. */
  async told(asker: Asker, addresses: readonly EntityAddress[]): Promise<KnownEntity['told'][]> {
    const asked = addresses.map((address) => ({ address, fromRevision: Number.MAX_SAFE_INTEGER }));
    return (await this.#ask(asker, asked)).map(({ told }) => told);
  }

  /**
   * Asks until all have the wanted revision or the time is up: the projection is usually some milliseconds
   * behind its owner. Until it has it, an entity is not read.
   * @returns only heads that have it
   */
  async waitFor<T extends { readonly mutation: EntityAddress }>(
    asker: Asker,
    wanted: readonly AwaitedHead<T>[],
    limitMs: number,
  ): Promise<Map<T, EntityHead>> {
    const found = new Map<T, EntityHead>();
    let missing = wanted;
    const untilMs = Date.now() + limitMs;
    for (;;) {
      const known = await this.#ask(
        asker,
        missing.map(({ work, revision }) => ({ address: work.mutation, fromRevision: revision })),
      );
      missing = missing.filter(({ work, revision }, place) => {
        const head = known[place]?.head;
        if (!head || head.revision < revision) return true;
        found.set(work, head);
        return false;
      });
      if (missing.length === 0 || Date.now() + STEP_MS > untilMs) return found;
      await sleep(STEP_MS);
    }
  }

  async #ask(asker: Asker, asked: readonly AskedEntity[]): Promise<KnownEntity[]> {
    if (asked.length === 0) return [];
    const distinct = Map.groupBy(asked, ({ address }) => addressKey(address));
    const items = [...distinct.values()].map((same, place) => {
      const { scope, entityType: type, entityId: eid } = (same[0] as AskedEntity).address;
      // Of several revisions of one entity the lowest comes first.
      const revisions = same.map(({ fromRevision }) => fromRevision ?? 0);
      return { place, scope, type, eid, from_revision: Math.min(...revisions) };
    });
    const rows = await this.#database.call<KnownColumns>(
      'read_known',
      'SELECT * FROM read_known($1, $2, $3, $4, $5)',
      [asker.tenantId, asker.userId, asker.deviceId, JSON.stringify(items), HEAD_BYTES],
    );
    const byPlace = new Map(rows.map((row) => [row.place, knownOf(row)]));
    const known = new Map([...distinct.keys()].map((key, place) => [key, byPlace.get(place)]));
    return asked.map(({ address }) => known.get(addressKey(address)) ?? NOTHING_KNOWN);
  }
}

function knownOf(row: KnownColumns): KnownEntity {
  const { told_revision: revision, told_clock: clock, told_deleted: deleted, restored } = row;
  const { own_sequence: ownSequence } = row;
  const told = revision === null || clock === null ? null : { revision, clock };
  return {
    head: headOf(row),
    unread: isUnread(row),
    told: told && {
      revision: Number(told.revision),
      clock: readJson(told.clock) as VectorClock,
      deleted: deleted ?? false,
    },
    counted: Number(row.counted),
    restored,
    ownSequence: ownSequence === null ? null : Number(ownSequence),
  };
}
