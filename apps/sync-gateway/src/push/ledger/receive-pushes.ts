import type { GroupedCalls } from '@sync/messaging';
import { arrayText, type Database } from '@sync/postgres';
import { endsOf, groupedFunction } from '../../database/grouped-function.ts';
import { type EntityHead, type HeadColumns, headOf, isUnread } from '../../read-model/entity-head.ts';
import { HEAD_BYTES } from '../../read-model/read-heads.ts';
import type { Author } from '../outcome/settlement.ts';
import { addressKey } from '../../read-model/entity-address.ts';
import type { Prepared } from '../prepare/prepare-mutation.ts';
import { fitsTogether, PUSH_SEPARATOR, type PushSize } from './push-groups.ts';

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
  /** The device had counted from anew before this push. */
  readonly anew: boolean;
  /** Statuses of the asked-for dependencies that the ledger has. */
  readonly dependencies: Readonly<Record<string, string>> | null;
}

/** Whether the entity of a mutation is looked up, so that it can be decided about or shown. */
export type NeedsHead = (prepared: Prepared) => boolean;

/** SQLSTATE of push_receive: the device has too many mutations without an outcome. */
export const BACKLOG_FULL = 'SY001';

/** Bounds of {@link ReceivePushes}. */
export interface ReceiveLimits {
  /** How long nobody else takes over what was received. */
  readonly visibleMs: number;
  /** Mutations of one device without an outcome. */
  readonly maxOpen: number;
}

/** One push on its way into the ledger. */
interface Push {
  readonly author: Author;
  readonly distinct: readonly Prepared[];
  /** Of each, whether its entity is looked up; asked once, because registrations change. */
  readonly lookedUp: readonly boolean[];
}

/**
 * First round trip of pushes: `push_receive`, for pushes that come at the same time once for all of them.
 */
export class ReceivePushes {
  readonly #calls: GroupedCalls<Push, Received[]>;

  constructor(database: Pick<Database, 'call'>, { visibleMs, maxOpen }: ReceiveLimits) {
    this.#calls = groupedFunction<Push, ReceivedRow, Received[]>(database, {
      name: 'push_receive_together',
      text: TOGETHER,
      callerOf: ({ author }) => author,
      valuesOf: (pushes) => [...valuesOf(pushes), visibleMs, maxOpen, HEAD_BYTES],
      answerOf: receivedOf,
      fits: fitsTogether(sizeOf),
    });
  }

  /**
   * Stores what is new. One answer per mutation, in order.
   * @throws the driver's error; `BACKLOG_FULL` as its SQLSTATE
   */
  receive(author: Author, distinct: readonly Prepared[], needsHead: NeedsHead): Promise<Received[]> {
    return this.#calls.do({ author, distinct, lookedUp: distinct.map(needsHead) });
  }
}

/** See push-receive-together.sql. */
const TOGETHER =
  'SELECT call, failed, (answer).* FROM push_receive_together($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ' +
  '$12, $13, $14, $15, $16, $17, $18)';

function sizeOf({ distinct }: Push): PushSize {
  const length = distinct.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
  return { mutations: distinct.length, length };
}

function receivedOf(push: Push, told: readonly ReceivedRow[]): Received[] {
  const rows = push.distinct.map((_, place): ReceivedRow => ({ ...NOTHING_TO_SAY, place }));
  for (const row of told) rows[row.place] = row;
  return withHeads(push, rows);
}

/** push_receive answers an entity with the first mutation that looks it up. */
function withHeads({ distinct, lookedUp }: Push, rows: readonly ReceivedRow[]): Received[] {
  const keyOf = (place: number): string | null => {
    const address = distinct[place]?.address;
    return address && lookedUp[place] ? addressKey(address) : null;
  };
  const heads = new Map<string, { readonly head: EntityHead | null; readonly unread: boolean }>();
  for (const row of rows) {
    const key = keyOf(row.place);
    if (key !== null && row.head_revision !== null)
      heads.set(key, { head: headOf(row), unread: isUnread(row) });
  }
  return rows.map((row): Received => {
    const key = keyOf(row.place);
    const found = (key === null ? null : heads.get(key)) ?? { head: null, unread: false };
    return { ...row, ...found };
  });
}

/** What push_receive means by saying nothing. */
const NOTHING_TO_SAY: Omit<ReceivedRow, 'place'> = {
  verdict: 'new',
  outcome: null,
  held: true,
  waiting: false,
  anew: false,
  dependencies: null,
  head_revision: null,
  head_deleted: null,
  head_clock: null,
  head_writes: null,
  head_wire: null,
};

function payloadsOf(distinct: readonly Prepared[]): string {
  return distinct.map(({ payload }) => payload ?? '').join('\n');
}

/** An element of p_depends_on. */
function dependenciesOf(distinct: readonly Prepared[]): string | null {
  const dependsOn = distinct.flatMap(({ mutationId, mutation }) =>
    mutation && mutation.dependsOn.length > 0 ? [[mutationId, mutation.dependsOn] as const] : [],
  );
  return dependsOn.length === 0 ? null : JSON.stringify(Object.fromEntries(dependsOn));
}

function valuesOf(pushes: readonly Push[]): unknown[] {
  const prepared = pushes.flatMap(({ distinct }) => distinct);
  return [
    pushes.map(({ distinct }) => dependenciesOf(distinct)),
    endsOf(pushes.map(({ distinct }) => distinct)),
    arrayText(prepared.map(({ mutationId }) => mutationId)),
    arrayText(prepared.map(({ identity }) => identity)),
    arrayText(prepared.map(({ sequence }) => sequence)),
    arrayText(prepared.map(({ address }) => address?.scope ?? null)),
    arrayText(prepared.map(({ address }) => address?.entityType ?? null)),
    arrayText(prepared.map(({ address }) => address?.entityId ?? null)),
    arrayText(prepared.map(({ mutation }) => mutation?.op ?? null)),
    arrayText(prepared.map(({ mutation }) => mutation?.occurredAtMs ?? null)),
    arrayText(pushes.flatMap(({ lookedUp }) => lookedUp)),
    pushes.map(({ distinct }) => payloadsOf(distinct)).join(PUSH_SEPARATOR),
  ];
}
