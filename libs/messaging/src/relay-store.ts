import { randomBytes } from 'node:crypto';
import type { Database } from '@sync/postgres';
import type { Lease } from './lease.ts';
import type { ReplayPage, ReplayRequest } from './wire.ts';

/** A numbered row, durable, not yet known to be on JetStream. */
export interface NumberedRow {
  readonly stream: string;
  readonly partition: number;
  readonly number: number;
  readonly payload: string;
  /** Last number given in this partition. */
  readonly head: number;
  /** Its partition has rows that still wait for a number. */
  readonly more: boolean;
}

/** What the relay may take from one partition. */
export interface TakeRequest {
  readonly stream: string;
  readonly partition: number;
  /** Last number that is published. */
  readonly after: number;
  readonly lease: Lease;
  /** What waits becomes one message. Its payloads are JSON arrays. */
  readonly gathers: boolean;
}

export interface OutboxHead {
  readonly epoch: string;
  readonly number: number;
  readonly published: number;
}

export interface Confirmation {
  readonly stream: string;
  readonly partition: number;
  readonly published: number;
  readonly lease: Lease;
}

type Calls = Pick<Database, 'call'>;
type Text<T> = { readonly [key in keyof T]: T[key] extends number ? string | number : T[key] };

/** An epoch is new whenever a database starts its numbers anew; it compares by equality only. */
export function newEpoch(): string {
  return `${Date.now().toString(36)}-${randomBytes(5).toString('hex')}`;
}

/** The head of one partition, made with a fresh epoch if this database has none. */
export async function openHead(database: Calls, stream: string, partition: number): Promise<OutboxHead> {
  await database.call(
    'sync_outbox_head_open',
    `INSERT INTO sync_outbox_head (stream, partition, epoch) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [stream, partition, newEpoch()],
  );
  const [head] = await database.call<Text<OutboxHead>>(
    'sync_outbox_head_read',
    'SELECT epoch, number, published FROM sync_outbox_head WHERE stream = $1 AND partition = $2',
    [stream, partition],
  );
  if (head === undefined) throw new Error(`No outbox head for ${stream}.${partition}`);
  return { epoch: head.epoch, number: Number(head.number), published: Number(head.published) };
}

/**
 * Starts a new epoch for a partition whose database went back in time (restored from a backup): its next
 * numbers are already taken by other messages, so consumers would drop new messages as duplicates. What was
 * published before cannot be replayed any more, what was not is numbered again.
 *
 * @returns the new head; the old one when the lease was lost meanwhile
 */
export async function restartEpoch(
  database: Calls,
  { stream, partition }: { readonly stream: string; readonly partition: number },
  old: OutboxHead,
  lease: Lease,
): Promise<OutboxHead> {
  const epoch = newEpoch();
  await database.call(
    'sync_outbox_restart',
    `WITH head AS (
       UPDATE sync_outbox_head h SET epoch = $3, number = 0, published = 0
       WHERE h.stream = $1 AND h.partition = $2 AND h.epoch = $4 AND EXISTS (
         SELECT FROM sync_lease l WHERE l.name = $6 AND l.holder = $7 AND l.token = $8) RETURNING 1
     ), marks AS (
       DELETE FROM sync_outbox_mark m USING head WHERE m.stream = $1 AND m.partition = $2
     ), published AS (
       DELETE FROM sync_outbox o USING head WHERE o.stream = $1 AND o.partition = $2 AND o.number <= $5
     )
     UPDATE sync_outbox o SET number = NULL FROM head
     WHERE o.stream = $1 AND o.partition = $2 AND o.number > $5`,
    [stream, partition, epoch, old.epoch, old.published, lease.name, lease.holder, lease.token],
  );
  return openHead(database, stream, partition);
}

/**
 * Numbers and returns what waits in all given partitions: one round trip, durable when it answers. What has a
 * number and is not published yet comes first, and alone.
 */
export async function takeRows(
  database: Calls,
  requests: readonly TakeRequest[],
  page: { readonly rows: number; readonly bytes: number },
): Promise<NumberedRow[]> {
  const ordered = inLockOrder(requests);
  const rows = await database.call<Text<NumberedRow>>(
    'sync_outbox_number',
    'SELECT * FROM sync_outbox_number($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    [
      ordered.map((request) => request.stream),
      ordered.map((request) => request.partition),
      ordered.map((request) => request.after),
      ordered.map((request) => request.lease.name),
      ordered[0]?.lease.holder ?? '',
      ordered.map((request) => request.lease.token),
      ordered.map((request) => request.gathers),
      page.rows,
      page.bytes,
    ],
  );
  return rows
    .map((row) => ({
      stream: row.stream,
      partition: Number(row.partition),
      number: Number(row.number),
      payload: row.payload,
      head: Number(row.head),
      more: row.more,
    }))
    .sort((a, b) => a.number - b.number);
}

/**
 * Taking and confirming both lock heads of several partitions; in one order they queue instead of
 * deadlocking.
 */
function inLockOrder<T extends { readonly stream: string; readonly partition: number }>(
  items: readonly T[],
): T[] {
  return items.toSorted((a, b) =>
    a.stream === b.stream ? a.partition - b.partition : a.stream < b.stream ? -1 : 1,
  );
}

/** Stores how far JetStream has confirmed; a holder that lost its lease writes nothing. */
export async function confirmPublished(
  database: Calls,
  confirmations: readonly Confirmation[],
): Promise<void> {
  const ordered = inLockOrder(confirmations);
  await database.call(
    'sync_outbox_confirm',
    `UPDATE sync_outbox_head h SET published = held.published
     FROM (
       SELECT k.stream, k.partition, c.published
       FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
         WITH ORDINALITY AS c (stream, partition, published, lease, holder, token, place)
       JOIN sync_outbox_head k ON k.stream = c.stream AND k.partition = c.partition
         AND k.published < c.published
       JOIN sync_lease l ON l.name = c.lease AND l.holder = c.holder AND l.token = c.token
       ORDER BY c.place FOR UPDATE OF k
     ) held
     WHERE h.stream = held.stream AND h.partition = held.partition`,
    [
      ordered.map((item) => item.stream),
      ordered.map((item) => item.partition),
      ordered.map((item) => item.published),
      ordered.map((item) => item.lease.name),
      ordered.map((item) => item.lease.holder),
      ordered.map((item) => item.lease.token),
    ],
  );
}

/**
 * Deletes at most `rows` rows of a partition that were published longer than `retentionMs` ago, and notes how
 * far it is published now. Notes are a twenty-fourth of the retention apart, so rows live at most that much
 * longer.
 *
 * @returns how many rows were deleted
 */
export async function pruneRows(
  database: Calls,
  { stream, partition }: { readonly stream: string; readonly partition: number },
  { retentionMs, rows }: { readonly retentionMs: number; readonly rows: number },
): Promise<number> {
  await database.call(
    'sync_outbox_mark',
    `INSERT INTO sync_outbox_mark (stream, partition, marked_at, number)
     SELECT h.stream, h.partition, clock_timestamp(), h.published FROM sync_outbox_head h
     WHERE h.stream = $1 AND h.partition = $2 AND NOT EXISTS (
       SELECT FROM sync_outbox_mark m WHERE m.stream = $1 AND m.partition = $2
         AND m.marked_at > clock_timestamp() - $3::float8 / 24 * interval '1 millisecond')
     ON CONFLICT DO NOTHING`,
    [stream, partition, retentionMs],
  );
  const [pruned] = await database.call<{ readonly deleted: number }>(
    'sync_outbox_prune',
    `WITH floor AS (
       SELECT max(m.number) AS number FROM sync_outbox_mark m WHERE m.stream = $1 AND m.partition = $2
         AND m.marked_at <= clock_timestamp() - $3::float8 * interval '1 millisecond'
     ), deleted AS (
       DELETE FROM sync_outbox o WHERE o.ctid = ANY (ARRAY (
         SELECT k.ctid FROM sync_outbox k
         WHERE k.stream = $1 AND k.partition = $2 AND k.number <= (SELECT number FROM floor)
         ORDER BY k.number LIMIT $4))
       RETURNING 1
     ), forgotten AS (
       DELETE FROM sync_outbox_mark m USING floor
       WHERE m.stream = $1 AND m.partition = $2 AND m.number < floor.number RETURNING 1
     )
     SELECT (SELECT count(*) FROM deleted)::int4 AS deleted`,
    [stream, partition, retentionMs, rows],
  );
  return pruned?.deleted ?? 0;
}

/** One page of a partition from one snapshot, for a consumer that misses numbers. */
export async function readReplayPage(
  database: Calls,
  request: ReplayRequest,
  page: { readonly rows: number; readonly bytes: number },
): Promise<ReplayPage | undefined> {
  const rows = await database.call<{
    readonly epoch: string;
    readonly last: string;
    readonly first: string | null;
    readonly number: string | null;
    readonly payload: string | null;
  }>(
    'sync_outbox_replay',
    `SELECT h.epoch, h.number AS last, kept.first, page.number, page.payload
     FROM sync_outbox_head h
     CROSS JOIN LATERAL (SELECT min(o.number) AS first FROM sync_outbox o
       WHERE o.stream = $1 AND o.partition = $2 AND o.number IS NOT NULL) kept
     LEFT JOIN LATERAL (
       SELECT s.number, s.payload FROM (
         SELECT r.number, r.payload, sum(octet_length(r.payload)) OVER (ORDER BY r.number) AS bytes
         FROM (SELECT o.number, o.payload FROM sync_outbox o
               WHERE o.stream = $1 AND o.partition = $2 AND o.number > $4 ORDER BY o.number LIMIT $5) r) s
       WHERE s.bytes <= $6 OR s.bytes = octet_length(s.payload)
     ) page ON h.epoch = $3
     WHERE h.stream = $1 AND h.partition = $2 ORDER BY page.number`,
    [request.stream, request.partition, request.epoch, request.after, page.rows, page.bytes],
  );
  const [head] = rows;
  if (head === undefined) return undefined;
  const last = Number(head.last);
  const first = head.first === null ? last + 1 : Number(head.first);
  return {
    epoch: head.epoch,
    first,
    last,
    pruned: head.epoch === request.epoch && request.after + 1 < first,
    messages: rows.flatMap(({ number, payload }) =>
      number === null || payload === null ? [] : [{ number: Number(number), payload }],
    ),
  };
}
