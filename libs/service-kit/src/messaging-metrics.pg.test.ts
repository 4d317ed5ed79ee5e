import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { appendToOutbox, messagingMigrations } from '@sync/messaging';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { messagingMetrics } from './messaging-metrics.ts';
import { Metrics } from './metrics.ts';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase({
    postgres: await startPostgres(),
    name: 'hop_metrics',
    migrations: messagingMigrations,
  });
});
afterAll(() => test.drop());

/** Value of the one sample of a metric whose labels include these. */
async function valueOf(metrics: Metrics, name: string, labels = ''): Promise<number | undefined> {
  const text = await metrics.registry.metrics();
  const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(labels));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
}

describe('what waits in outbox and inbox', () => {
  it('is counted when somebody looks: without a number, numbered and not confirmed, and how old', async () => {
    const metrics = new Metrics('test');
    messagingMetrics(metrics, test.database);
    await test.database.transaction(async (tx) => {
      await appendToOutbox(
        tx,
        [1, 2, 3].map((payload) => ({ stream: 'DELTAS', partition: 0, payload: `${payload}` })),
      );
      await tx.query(
        `UPDATE sync_outbox SET number = id, created_at = now() - interval '1 hour' WHERE id <= 2`,
      );
      await tx.query(
        `INSERT INTO sync_outbox_head (stream, partition, epoch, number, published) VALUES ('DELTAS', 0, 'e', 2, 1)`,
      );
      await tx.query(
        `INSERT INTO sync_inbox (consumer, stream, producer, partition, epoch, number) VALUES ('test', 'DOMAIN_EVENTS', 'learning', 3, 'e', 41)`,
      );
    });
    expect(await valueOf(metrics, 'sync_outbox_waiting_messages', 'stream="DELTAS"')).toBe(2);
    expect(await valueOf(metrics, 'sync_relay_lag_seconds', 'stream="DELTAS"')).toBeGreaterThan(3_599);
    expect(await valueOf(metrics, 'sync_inbox_watermark', 'producer="learning",partition="3"')).toBe(41);
    await test.database.transaction(async (tx) => {
      await tx.query(`DELETE FROM sync_outbox WHERE number IS NULL`);
      await tx.query(`UPDATE sync_outbox_head SET published = number`);
    });
    expect(await valueOf(metrics, 'sync_outbox_waiting_messages', 'stream="DELTAS"')).toBe(0);
    expect(await valueOf(metrics, 'sync_relay_lag_seconds', 'stream="DELTAS"')).toBe(0);
  });

  it.each([
    ['is away', () => Promise.reject(new Error('away'))],
    ['does not answer', () => new Promise<never>(() => undefined)],
  ])('hides no other metric while Postgres %s', async (_what, call) => {
    const metrics = new Metrics('test');
    const hop = messagingMetrics(metrics, { call });
    hop.retried('test', 'DELTAS');
    expect(await valueOf(metrics, 'sync_retried_batches_total', 'stream="DELTAS"')).toBe(1);
  });
});
