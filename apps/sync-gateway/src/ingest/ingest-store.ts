import type { Tx } from '@sync/postgres';
import { splitDeltaLines } from '@sync/protocol';

/** What an ingest changed; see ingest-deltas.sql. */
export interface IngestedChange {
  readonly kind: 'scope' | 'user' | 'number' | 'lag' | 'document';
  readonly tenant_id: string | null;
  readonly name: string;
}

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
  const wires = messages.flatMap((message) => (message.wires === '' ? [] : [message.wires]));
  return tx.call<IngestedChange>('ingest_deltas', 'SELECT * FROM ingest_deltas($1, $2, $3, $4)', [
    partition,
    `[${messages.map(({ head }) => head).join(',')}]`,
    `[${messages.map(({ deltas }) => deltas).join(',')}]`,
    wires.join('\n'),
  ]);
}
