import { partitionOf } from '@sync/messaging';
import { arrayText, type Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import { type EntityHead, type HeadColumns, headOf, isUnread } from '../outcome/entity-head.ts';
import { HEAD_BYTES } from '../outcome/read-heads.ts';
import type { Author } from '../outcome/settlement.ts';
import { SHOWN_BYTES, shownKey } from '../outcome/tell-outcomes.ts';
import type { EntityAddress, Prepared } from '../prepare/prepare-mutation.ts';
import type { Completion } from './completion.ts';

/** What the ledger says of one mutation when it comes. */
export interface Received extends Omit<ReceivedRow, keyof HeadColumns> {
  /**
   * The entity in the mutation's scope, the same object for all its mutations; null when it has none, or
   * nobody looked.
   */
  readonly head: EntityHead | null;
  /** It is there, but was not read: the entities before it are as much as one push may read. */
  readonly unread: boolean;
}

/** See push-receive.sql. */
interface ReceivedRow extends HeadColumns {
  readonly place: number;
  readonly verdict: 'new' | 'answered' | 'accepted' | 'pending' | 'reused';
  readonly outcome: string | null;
  readonly held: boolean;
  readonly waiting: boolean;
  /** Statuses of the asked-for dependencies that the ledger has. */
  readonly dependencies: Readonly<Record<string, string>> | null;
}

/** An entity that outcomes show. */
export interface StoredShown {
  readonly mutation_id: string;
  /** The first of the asked outcomes that shows the same. */
  readonly holder: string | null;
  readonly wire: string | null;
}

/** A mutation to be received. */
export interface Incoming {
  readonly prepared: Prepared;
  /** Dependencies to look up. */
  readonly dependencies: readonly string[];
  readonly needsHead: boolean;
}

/** SQLSTATE of push_receive: the device has too many mutations without an outcome. */
export const BACKLOG_FULL = 'SY001';

/** SQLSTATE of both functions: two devices or users of a tenant have sent one mutationId at the same time. */
export const SENT_TWICE = 'SY002';

/**
 * The ledger of mutations: two functions, one round trip each; a third where large entities are shown again.
 */
export class LedgerStore {
  readonly #database: Database;
  readonly #limits: { readonly visibleMs: number; readonly maxOpen: number };

  /**
   * @param limits visibleMs: how long nobody else takes over what was received; maxOpen: mutations of one
   * device without an outcome
   */
  constructor(database: Database, limits: { readonly visibleMs: number; readonly maxOpen: number }) {
    this.#database = database;
    this.#limits = limits;
  }

  /**
   * Stores what is new. One answer per item, in order.
   * @throws the driver's error; `BACKLOG_FULL` as its SQLSTATE
   */
  async receive(author: Author, incoming: readonly Incoming[]): Promise<Received[]> {
    const { tenantId, userId, deviceId } = author;
    const { visibleMs, maxOpen } = this.#limits;
    const told = await this.#database.call<ReceivedRow>('push_receive', RECEIVE, [
      ...[tenantId, userId, deviceId],
      ...columnsOf(incoming),
      incoming.map(({ prepared }) => prepared.payload ?? '').join('\n'),
      ...[visibleMs, maxOpen, HEAD_BYTES],
    ]);
    const rows = incoming.map((_, place): ReceivedRow => ({ ...NOTHING_TO_SAY, place }));
    for (const row of told) rows[row.place] = row;
    return withHeads(incoming, rows);
  }

  /** The entities of outcomes that have them beside them, as many as one answer may show. One round trip. */
  async readShown({ tenantId }: Author, mutationIds: readonly string[]): Promise<StoredShown[]> {
    return this.#database.call<StoredShown>('read_shown', 'SELECT * FROM read_shown($1, $2, $3)', [
      tenantId,
      mutationIds,
      SHOWN_BYTES,
    ]);
  }

  /** Notes changes of the device that are refused and kept nowhere. One round trip. */
  async noteRefused(
    { tenantId, deviceId }: Author,
    refused: readonly (Pick<EntityAddress, 'entityType' | 'entityId'> & { readonly counter: number })[],
  ): Promise<void> {
    await this.#database.call('push_refused', 'SELECT push_refused($1, $2, $3, $4, $5)', [
      tenantId,
      deviceId,
      refused.map(({ entityType }) => entityType),
      refused.map(({ entityId }) => entityId),
      refused.map(({ counter }) => counter),
    ]);
  }

  /**
   * Stores outcomes and their sync events.
   * @returns what somebody else had stored before for the same user, by mutationId; null: still open
   * @throws the driver's error; `SENT_TWICE` as its SQLSTATE, and nothing is stored
   */
  async complete(author: Author, completion: Completion): Promise<ReadonlyMap<string, string | null>> {
    const { tenantId, userId, deviceId } = author;
    const { items, outcomes, entries, events, shown } = completion;
    const partition = partitionOf(`${tenantId}\0${deviceId}`, STREAMS.SYNC_EVENTS.partitions);
    const more = items.flatMap(({ conflict, chunk, ...item }, index) => {
      const { delayMs, mayBeSent, error, counter, shows, refusal } = item;
      const known = {
        ...{ delayMs, mayBeSent, error, counter, shows, refusal },
        conflict,
        ...(conflict === undefined ? {} : { chunk }),
      };
      const says = Object.values(known).some((value) => value !== undefined);
      return says ? [{ place: index + 1, ...known }] : [];
    });
    const rows = await this.#database.call<{ readonly mutation_id: string; readonly outcome: string | null }>(
      'push_complete',
      COMPLETE,
      [
        ...[tenantId, deviceId],
        arrayText(items.map(({ id }) => id)),
        arrayText(items.map(({ attempt }) => attempt)),
        arrayText(items.map(({ status }) => status)),
        arrayText(items.map(({ kind }) => kind ?? null)),
        more.length === 0 ? null : JSON.stringify(more),
        outcomes.join('\n'),
        entries.join('\n'),
        JSON.stringify(events),
        partition,
        userId,
        arrayText(items.map(({ revision }) => revision ?? null)),
        shown.length === 0 ? null : JSON.stringify(shown),
      ],
    );
    return new Map(rows.map((row) => [row.mutation_id, row.outcome]));
  }
}

const RECEIVE =
  'SELECT * FROM push_receive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)';
const COMPLETE = 'SELECT * FROM push_complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';

/** push_receive answers an entity with the first mutation that looks it up. */
function withHeads(incoming: readonly Incoming[], rows: readonly ReceivedRow[]): Received[] {
  const keyOf = (place: number): string | null => {
    const { needsHead, prepared } = incoming[place] as Incoming;
    return needsHead && prepared.address ? shownKey(prepared.address) : null;
  };
  const heads = new Map<string, { readonly head: EntityHead | null; readonly unread: boolean }>();
  for (const row of rows) {
    const key = keyOf(row.place);
    if (key !== null && row.head_revision !== null)
      heads.set(key, { head: headOf(row), unread: isUnread(row) });
  }
  return rows.map((row): Received => {
    const { place, verdict, outcome, held, waiting, dependencies } = row;
    const key = keyOf(place);
    const found = (key === null ? null : heads.get(key)) ?? { head: null, unread: false };
    return { place, verdict, outcome, held, waiting, dependencies, ...found };
  });
}

/** What push_receive means by saying nothing. */
const NOTHING_TO_SAY: Omit<ReceivedRow, 'place'> = {
  verdict: 'new',
  outcome: null,
  held: true,
  waiting: false,
  dependencies: null,
  head_revision: null,
  head_deleted: null,
  head_clock: null,
  head_writes: null,
  head_wire: null,
};

/** p_ids to p_looked_up of push_receive. */
function columnsOf(incoming: readonly Incoming[]): (string | null)[] {
  const prepared = incoming.map((one) => one.prepared);
  const dependsOn = incoming.flatMap((one) =>
    one.dependencies.length === 0 ? [] : [[one.prepared.mutationId, one.dependencies] as const],
  );
  return [
    arrayText(prepared.map(({ mutationId }) => mutationId)),
    arrayText(prepared.map(({ identity }) => identity)),
    arrayText(prepared.map(({ mutation }) => mutation?.sequence ?? null)),
    arrayText(prepared.map(({ address }) => address?.scope ?? null)),
    arrayText(prepared.map(({ address }) => address?.entityType ?? null)),
    arrayText(prepared.map(({ address }) => address?.entityId ?? null)),
    arrayText(prepared.map(({ mutation }) => mutation?.op ?? null)),
    arrayText(prepared.map(({ mutation }) => mutation?.occurredAtMs ?? null)),
    dependsOn.length === 0 ? null : JSON.stringify(Object.fromEntries(dependsOn)),
    arrayText(incoming.map(({ needsHead }) => String(needsHead))),
  ];
}
