import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { appendToOutbox, messagingMigrations, OutboxRelay, partitionOf, Responder } from '@sync/messaging';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { type PullResponse, STREAMS, subjects } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

const silent = createLogger({ service: 'test', level: 'silent' });
let rig: GatewayRig;
let projectorDb: TestDatabase;
let relay: OutboxRelay;

beforeAll(async () => {
  rig = await GatewayRig.start();
  projectorDb = await createTestDatabase({
    postgres: await startPostgres(),
    name: 'projector_hop',
    migrations: messagingMigrations,
  });
  const { database } = projectorDb;
  relay = new OutboxRelay({
    database,
    nats: rig.nats,
    producer: 'delta-projector',
    streams: [STREAMS.DELTAS],
    logger: silent,
  });
  relay.start();
});
afterAll(async () => {
  await relay.stop();
  await rig.stop();
  await projectorDb.drop();
});

/** Sends what was projected as the projector does: through its outbox. */
async function send(tenantId: string, scope: string, isNews = true): Promise<number> {
  const partition = partitionOf(`${tenantId}\0${scope}`, STREAMS.DELTAS.partitions);
  const payload = rig.projector.message(isNews);
  await projectorDb.database.transaction((tx) =>
    appendToOutbox(tx, [{ stream: 'DELTAS', partition, payload }]),
  );
  relay.kick();
  return partition;
}

async function pull(
  device: TestDevice,
  cursor: string | null,
  more: object = {},
  url = rig.url,
): Promise<PullResponse> {
  const scope = `user:${device.userId}`;
  const answer = await rig.call<PullResponse>(
    device,
    'pull',
    { scopes: [{ scope, cursor }], ...more },
    { url },
  );
  expect(answer.status).toBe(200);
  return answer.body;
}

function idsOf(answer: PullResponse): string[] {
  return answer.scopes.flatMap(({ deltas }) => deltas.map(({ entityId }) => entityId));
}

describe('the stream of deltas', () => {
  it('reaches a pull that waits, at whichever replica', async () => {
    const other = await rig.addGateway();
    for (const url of [rig.url, other.url]) {
      const device = await rig.device();
      const scope = `user:${device.userId}`;
      const first = await pull(device, null, {}, url);
      const cursor = first.scopes[0]?.cursor ?? '';
      await pull(device, cursor, {}, url);
      const waiting = pull(device, cursor, { waitMs: 30_000 }, url);
      rig.projector.put('t1', scope, 'n1', { text: 'hello' });
      await send('t1', scope);
      expect(idsOf(await waiting)).toEqual(['n1']);
    }
  });

  it('is consumed once however often it is published', async () => {
    const device = await rig.device();
    const scope = `user:${device.userId}`;
    rig.projector.put('t1', scope, 'n1').put('t1', scope, 'n2');
    const partition = await send('t1', scope);
    await until(async () => (idsOf(await pull(device, null)).length === 2 ? true : null));
    const [row] = await projectorDb.database.call<{ number: string; payload: string }>(
      'last_row',
      'SELECT number, payload FROM sync_outbox WHERE partition = $1 ORDER BY number DESC LIMIT 1',
      [partition],
    );
    const [head] = await projectorDb.database.call<{ epoch: string }>(
      'head_row',
      `SELECT epoch FROM sync_outbox_head WHERE stream = 'DELTAS' AND partition = $1`,
      [partition],
    );
    const { headers } = await import('@nats-io/transport-node');
    const repeated = headers();
    repeated.set('sync-producer', 'delta-projector');
    repeated.set('sync-epoch', head?.epoch ?? '');
    repeated.set('sync-number', row?.number ?? '');
    const subject = subjects.streamMessage('DELTAS', partition, 'delta-projector');
    rig.nats.publish(subject, row?.payload ?? '', { headers: repeated });
    rig.projector.put('t1', scope, 'n3');
    await send('t1', scope);
    const ids = await until(async () => {
      const found = idsOf(await pull(device, null));
      return found.includes('n3') ? found : null;
    });
    expect(ids).toEqual(['n1', 'n2', 'n3']);
  });

  it('is counted under the names that every process with an inbox or an outbox uses', async () => {
    const device = await rig.device();
    const scope = `user:${device.userId}`;
    rig.projector.put('t1', scope, 'n1');
    await send('t1', scope);
    await until(async () => (idsOf(await pull(device, null)).length === 1 ? true : null));
    const text = await (await fetch(`${rig.gateway.opsUrl}/metrics`)).text();
    expect(text).toMatch(/^sync_consumed_messages_total\{stream="DELTAS".*\} [1-9]/m);
    expect(text).toMatch(/^sync_inbox_watermark\{stream="DELTAS",producer="delta-projector".*\} [1-9]/m);
    expect(text).toContain('# TYPE sync_relay_lag_seconds gauge');
  });

  it('is late as long as its news took, whatever a snapshot brings', async () => {
    const device = await rig.device();
    const scope = `user:${device.userId}`;
    const before = await countedLags();
    rig.projector.put('t1', scope, 'n1');
    await send('t1', scope, false);
    await until(async () => (idsOf(await pull(device, null)).length === 1 ? true : null));
    expect(await countedLags()).toBe(before);
    rig.projector.put('t1', scope, 'n2');
    await send('t1', scope);
    await until(async () => (idsOf(await pull(device, null)).length === 2 ? true : null));
    expect(await countedLags()).toBe(before + 1);
  });

  it('is rebuilt by the projector when a part of it is gone for good', async () => {
    const asked: unknown[] = [];
    const device = await rig.device();
    const scope = `user:${device.userId}`;
    rig.projector.put('t1', scope, 'n1');
    const partition = await send('t1', scope);
    await until(async () => (idsOf(await pull(device, null)).length === 1 ? true : null));
    const responder = new Responder({
      ...{ nats: rig.nats, subject: subjects.projectorRebuild, queue: 'test', logger: silent },
      handle: async (body) => {
        asked.push(body);
        rig.projector.newEpoch('t1', scope, 'rebuilt').put('t1', scope, 'n1').put('t1', scope, 'n2');
        await send('t1', scope);
        return { tenants: 1 };
      },
    });
    // As after restoring an old backup: the watermark is behind everything that the stream and the outbox
    // still hold.
    await rig.gateway.foundation.database.call(
      'old_backup',
      `UPDATE sync_inbox SET number = 0 WHERE stream = 'DELTAS' AND partition = $1`,
      [partition],
    );
    await projectorDb.database.call('prune_outbox', 'DELETE FROM sync_outbox WHERE partition = $1', [
      partition,
    ]);
    rig.projector.put('t1', scope, 'lost');
    await send('t1', scope);
    await restartConsumers();
    const answer = await until(async () => {
      const next = await pull(device, null);
      return idsOf(next).includes('n2') ? next : null;
    });
    expect(idsOf(answer)).toEqual(['n1', 'n2']);
    expect(asked).toEqual([{}]);
    await responder.stop();
  });
});

/** Over all replicas, since any of them may have the partition. */
async function countedLags(): Promise<number> {
  const texts = await Promise.all(
    rig.gateways.map(async ({ opsUrl }) => (await fetch(`${opsUrl}/metrics`)).text()),
  );
  const counts = texts.map((text) => /^sync_ingest_lag_seconds_count\{.*\} (\d+)$/m.exec(text)?.[1] ?? '0');
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

/** Watermarks are read when a partition is taken over. */
async function restartConsumers(): Promise<void> {
  for (const gateway of rig.gateways.splice(0)) await gateway.stop();
  await rig.addGateway();
}
