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
}

/** What the relay may take from one partition. */
export interface TakeRequest {
  readonly stream: string;
  readonly partition: number;
  readonly after: number;
  readonly lease: Lease;
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

/** Numbers and returns what waits in all given partitions: one round trip, durable when it answers. */
export async function takeRows(
  database: Calls,
  requests: readonly TakeRequest[],
  page: { readonly rows: number; readonly bytes: number },
): Promise<NumberedRow[]> {
  const rows = await database.call<Text<NumberedRow>>(
    'sync_outbox_take',
    'SELECT * FROM sync_outbox_take($1, $2, $3, $4, $5, $6, $7, $8)',
    [
      requests.map((request) => request.stream),
      requests.map((request) => request.partition),
      requests.map((request) => request.after),
      requests.map((request) => request.lease.name),
      requests[0]?.lease.holder ?? '',
      requests.map((request) => request.lease.token),
      page.rows,
      page.bytes,
    ],
  );
  return rows.map((row) => ({
    stream: row.stream,
    partition: Number(row.partition),
    number: Number(row.number),
    payload: row.payload,
    head: Number(row.head),
  }));
}

/** Stores how far JetStream has confirmed; a holder that lost its lease writes nothing. */
export async function confirmPublished(
  database: Calls,
  confirmations: readonly Confirmation[],
): Promise<void> {
  await database.call(
    'sync_outbox_confirm',
    `UPDATE sync_outbox_head h SET published = c.published
     FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::bigint[])
       AS c (stream, partition, published, lease, holder, token)
     WHERE h.stream = c.stream AND h.partition = c.partition AND h.published < c.published
       AND EXISTS (SELECT FROM sync_lease l WHERE l.name = c.lease AND l.holder = c.holder AND l.token = c.token)`,
    [
      confirmations.map((item) => item.stream),
      confirmations.map((item) => item.partition),
      confirmations.map((item) => item.published),
      confirmations.map((item) => item.lease.name),
      confirmations.map((item) => item.lease.holder),
      confirmations.map((item) => item.lease.token),
    ],
  );
}

/**
 * Deletes at most `rows` rows of a partition that were published longer than `retentionMs` ago, and notes how far it is
 * published now. Notes are a twenty-fourth of the retention apart, so rows live at most that much longer.
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
       DELETE FROM sync_outbox o WHERE o.stream = $1 AND o.partition = $2 AND o.number IN (
         SELECT k.number FROM sync_outbox k, floor
         WHERE k.stream = $1 AND k.partition = $2 AND k.number <= floor.number ORDER BY k.number LIMIT $4)
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
