import type { BatchHandler } from '../consumer-context.ts';

/** A handler that writes one row per message, in one statement. */
export function recordEffects(worker: string): BatchHandler<void> {
  return async (tx, batches) => {
    const rows = batches.flatMap(({ partition, producer, epoch, messages }) =>
      messages.map((message) => ({ partition: String(partition), producer, epoch, ...message })),
    );
    await tx.query(
      `INSERT INTO effect (worker, partition, producer, epoch, number, payload)
       SELECT $1, m.partition, m.producer, m.epoch, m.number, m.payload
       FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
         WITH ORDINALITY AS m (partition, producer, epoch, number, payload, place) ORDER BY m.place`,
      [
        worker,
        rows.map(({ partition }) => partition),
        rows.map(({ producer }) => producer),
        rows.map(({ epoch }) => epoch),
        rows.map(({ number }) => number),
        rows.map(({ payload }) => payload),
      ],
    );
  };
}
