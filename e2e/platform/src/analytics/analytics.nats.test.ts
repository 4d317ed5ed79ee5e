import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboxRelay, appendToOutbox } from '@sync/messaging';
import { STREAMS, type SyncEvent } from '@sync/protocol';
import { type ServiceRig, startServiceRig } from '../testing/platform-rig.ts';
import { forgetEvents } from './events/event-store.ts';
import { startAnalytics } from './start-analytics.ts';

let rig: ServiceRig;
let relay: OutboxRelay;
const ignore = (): void => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

beforeAll(async () => {
  rig = await startServiceRig('analytics', (config) => startAnalytics({ ...config, retentionHours: 168 }));
  // Its own outbox serves as another producer: the tables are the same in every database.
  const producer = `gateway-${randomUUID().slice(0, 8)}`;
  relay = new OutboxRelay({
    database: rig.database,
    nats: rig.nats,
    producer,
    streams: [STREAMS.SYNC_EVENTS],
    logger,
    pollMs: 20,
  });
  relay.start();
});
afterAll(async () => {
  await relay.stop();
  await rig.stop();
});

function eventOf(tenantid: string, given: Partial<SyncEvent> = {}): SyncEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'sync-gateway',
    type: 'sync.scope.granted.v1',
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    tenantid,
    data: { scope: 'course:c1' },
    ...given,
  };
}

async function publish(payload: unknown): Promise<void> {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  await rig.database.transaction((tx) =>
    appendToOutbox(tx, [{ stream: 'SYNC_EVENTS', partition: 0, payload: text }]),
  );
  relay.kick();
}

async function untilCounted(tenant: string, count: number): Promise<Record<string, unknown>> {
  for (;;) {
    const { body } = await rig.call('GET', `/dev/events?tenant=${tenant}`);
    const total = Object.values(body['counts'] ?? {}).reduce((sum: number, n) => sum + Number(n), 0);
    if (total >= count) return body;
    await sleep(20);
  }
}

describe('analytics', () => {
  it('keeps every event once, tenant by tenant, newest first', async () => {
    const tenant = `t-${randomUUID()}`;
    const older = eventOf(tenant, { time: '2026-01-01T00:00:00.000Z' });
    const newer = eventOf(tenant, { type: 'sync.scope.revoked.v1' });
    await publish([older, newer, eventOf(`other-${tenant}`)]);
    await publish([older, newer]);
    await publish([eventOf(`last-${tenant}`)]);
    await untilCounted(`last-${tenant}`, 1);
    expect(await untilCounted(tenant, 2)).toEqual({
      counts: { 'sync.scope.granted.v1': 1, 'sync.scope.revoked.v1': 1 },
      events: [newer, older],
    });
    const { body } = await rig.call('GET', `/dev/events?tenant=${tenant}&type=sync.scope.granted.v1&limit=1`);
    expect(body['events']).toEqual([older]);
  });

  it('keeps events as the text that came: their numbers are not written out', async () => {
    const tenant = `t-${randomUUID()}`;
    const data = { theirs: { numbers: [5e-324, 0.1] } } as unknown as SyncEvent['data'];
    const event = eventOf(tenant, { data });
    await publish([event]);
    expect(await untilCounted(tenant, 1)).toMatchObject({ events: [event] });
    const rows = await rig.database.inTenant(tenant, (tx) => tx.query('SELECT event::text FROM sync_event'));
    expect(rows).toEqual([{ event: JSON.stringify(event) }]);
  });

  it('goes on behind what it cannot read', async () => {
    const tenant = `t-${randomUUID()}`;
    await publish('no JSON at all');
    await publish([
      { type: 'half an event' },
      eventOf('no, such, tenant'),
      eventOf(tenant, { time: 'soon' }),
    ]);
    await publish([eventOf(tenant)]);
    expect(await untilCounted(tenant, 1)).toMatchObject({ counts: { 'sync.scope.granted.v1': 1 } });
  });

  it('forgets what is past retention', async () => {
    const tenant = `t-${randomUUID()}`;
    const kept = eventOf(tenant);
    await publish([eventOf(tenant, { time: '2020-01-01T00:00:00.000Z' }), kept]);
    await untilCounted(tenant, 2);
    expect(await forgetEvents(rig.database, 168)).toBeGreaterThanOrEqual(1);
    expect((await untilCounted(tenant, 1))['events']).toEqual([kept]);
  });

  it.each(['', '?tenant=a,b', '?tenant=acme&limit=0', '?tenant=acme&limit=1001', '?tenant=acme&type=A%20B'])(
    'refuses the query %p',
    async (query) => {
      const { status, body } = await rig.call('GET', `/dev/events${query}`);
      expect([status, body['code']]).toEqual([400, 'schema_invalid']);
    },
  );
});
