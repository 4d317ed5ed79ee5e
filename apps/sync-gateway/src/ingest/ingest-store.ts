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
 * Applies messages of DELTAS to the read model, in the consumer's transaction.
 * @param messages those of a partition in order
 */
export async function ingestDeltas(
  tx: Pick<Tx, 'call'>,
  messages: readonly DeltaMessage[],
): Promise<IngestedChange[]> {
  const parts = messages.map(({ payload }) => splitDeltaLines(payload));
  return tx.call<IngestedChange>('ingest_deltas', 'SELECT * FROM ingest_deltas($1, $2, $3, $4)', [
    messages.map(({ partition }) => partition),
    `[${parts.map(({ head }) => head).join(',')}]`,
    `[${parts.map(({ deltas }) => deltas).join(',')}]`,
    parts.map(({ wires }) => wires).join(SEPARATOR),
  ]);
}
