import type { Tx } from '@sync/postgres';
import { splitDeltaLines } from '@sync/protocol';

/** What an ingest changed; see ingest-deltas.sql. */
export interface IngestedChange {
  readonly kind: 'scope' | 'user' | 'number' | 'lag' | 'document';
  readonly tenant_id: string | null;
  readonly name: string;
  /** Of a `number`. */
  readonly partition: number | null;
}

/** A message of DELTAS, and the partition that it came from. */
export interface DeltaMessage {
  readonly partition: number;
  readonly payload: string;
}

/** Between the wires of two messages: the record separator of RFC 7464, which no JSON text contains. */
const SEPARATOR = '\x1e';

/**
 * A list of deltas with one of an entity that was there before. What only looks like it costs a look for the
 * others, and what is overlooked is found when it is written.
 */
const CHANGES = /"revision":(?!1,)/;

/**
 * Applies messages of DELTAS to the read model, in the consumer's transaction.
 * @param messages those of a partition in order
 */
export async function ingestDeltas(
  tx: Pick<Tx, 'call'>,
  messages: readonly DeltaMessage[],
): Promise<IngestedChange[]> {
  const parts = messages.map(({ payload }) => splitDeltaLines(payload));
  return tx.call<IngestedChange>('ingest_deltas', 'SELECT * FROM ingest_deltas($1, $2, $3, $4, $5)', [
    messages.map(({ partition }) => partition),
    `[${parts.map(({ head }) => head).join(',')}]`,
    `[${parts.map(({ deltas }) => deltas).join(',')}]`,
    parts.map(({ wires }) => wires).join(SEPARATOR),
    parts.map(({ deltas }) => !CHANGES.test(deltas)),
  ]);
}
