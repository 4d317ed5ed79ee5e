import type { Tx } from '@sync/postgres';
import { splitDeltaLines } from '@sync/protocol';

/** What an ingest changed; see ingest-deltas.sql. */
export interface IngestedChange {
  readonly kind: 'scope' | 'user' | 'number' | 'lag' | 'document';
  readonly tenant_id: string | null;
  readonly name: string;
}

/** Between the wires of two messages: the record separator of RFC 7464, which no JSON text contains. */
const SEPARATOR = '\x1e';

/**
 * Applies messages of one DELTAS partition to the read model, in the consumer's transaction.
 * @param payloads in order
 */
export async function ingestDeltas(
  tx: Pick<Tx, 'call'>,
  partition: number,
  payloads: readonly string[],
): Promise<IngestedChange[]> {
  const messages = payloads.map(splitDeltaLines);
  return tx.call<IngestedChange>('ingest_deltas', 'SELECT * FROM ingest_deltas($1, $2, $3, $4)', [
    partition,
    `[${messages.map(({ head }) => head).join(',')}]`,
    `[${messages.map(({ deltas }) => deltas).join(',')}]`,
    messages.map(({ wires }) => wires).join(SEPARATOR),
  ]);
}
