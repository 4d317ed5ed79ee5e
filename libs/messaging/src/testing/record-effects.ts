import type { BatchHandler } from '../consumer-context.ts';

/** A handler that writes one row per message. */
export function recordEffects(worker: string): BatchHandler {
  return async (tx, batch) => {
    await tx.query(
      `INSERT INTO effect (worker, partition, producer, epoch, number, payload)
       SELECT $1, $2, $3, $4, m.number, m.payload
       FROM unnest($5::bigint[], $6::text[]) WITH ORDINALITY AS m (number, payload, place) ORDER BY m.place`,
      [
        worker,
        String(batch.partition),
        batch.producer,
        batch.epoch,
        batch.messages.map((message) => message.number),
        batch.messages.map((message) => message.payload),
      ],
    );
  };
}
