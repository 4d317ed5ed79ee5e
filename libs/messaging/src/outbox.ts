import type { Tx } from '@sync/postgres';

/** One message to be: `payload` is a batch as JSON text, at most {@link MAX_PAYLOAD_BYTES}. */
export interface OutboxRow {
  readonly stream: string;
  readonly partition: number;
  readonly payload: string;
}

/**
 * Bound of one payload: NATS refuses messages over 1 MiB, headers included, and what can never be published
 * would stop its partition. Writers cut their batches well below it (256 KiB keeps latency low).
 */
export const MAX_PAYLOAD_BYTES = 983_040;

/**
 * Between payloads on their way to Postgres: the record separator of RFC 7464, which no JSON text contains.
 */
const SEPARATOR = '\x1e';

/** Thrown before anything is written: the writer must cut its batch. */
export class PayloadTooLargeError extends Error {
  override readonly name = 'PayloadTooLargeError';
}

/**
 * Writes messages in the caller's transaction, in one statement; they are sent once it commits. Order within
 * a partition is the order of `rows`. Rows that must keep their order across transactions (one entity, one
 * scope) have to be written under that entity's or scope's row lock. Call `relay.kick()` after the commit to
 * save the relay's polling time.
 *
 * @throws PayloadTooLargeError
 * @throws TypeError for a payload that cannot be JSON
 */
export async function appendToOutbox(tx: Pick<Tx, 'call'>, rows: readonly OutboxRow[]): Promise<void> {
  if (rows.length === 0) return;
  for (const row of rows) assertSendable(row);
  const [first] = rows;
  if (first && rows.length === 1) {
    await tx.call('sync_append_outbox_row', APPEND_ONE, [first.stream, first.partition, first.payload]);
    return;
  }
  // ORDER BY: identity values are given after the sort, so ids follow the order of the array. Payloads as one
  // text and not as text[]: escaping 100 KB of JSON for an array took the driver 2 ms and Postgres another
  // one.
  await tx.call(
    'sync_append_outbox_rows',
    `INSERT INTO sync_outbox (stream, partition, payload)
     SELECT r.stream, r.partition, r.payload
     FROM ROWS FROM (unnest($1::text[]), unnest($2::integer[]), string_to_table($3, E'\\x1e'))
       WITH ORDINALITY AS r (stream, partition, payload, place)
     ORDER BY r.place`,
    [
      rows.map((row) => row.stream),
      rows.map((row) => row.partition),
      rows.map((row) => row.payload).join(SEPARATOR),
    ],
  );
}

/** Most transactions send one message: nothing has to be taken apart. */
const APPEND_ONE = 'INSERT INTO sync_outbox (stream, partition, payload) VALUES ($1, $2, $3)';

function assertSendable(row: OutboxRow): void {
  const bytes = Buffer.byteLength(row.payload);
  if (bytes > MAX_PAYLOAD_BYTES) {
    throw new PayloadTooLargeError(
      `A message for ${row.stream}.${row.partition} has ${bytes} bytes, at most ${MAX_PAYLOAD_BYTES} can be sent`,
    );
  }
  if (row.payload.includes(SEPARATOR)) {
    throw new TypeError(`A message for ${row.stream}.${row.partition} is no JSON text`);
  }
}
