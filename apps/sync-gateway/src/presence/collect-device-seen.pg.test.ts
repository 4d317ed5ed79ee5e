import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { TestDatabase } from '@sync/postgres/testing';
import type { DeviceSeen, SyncEvent } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { CollectDeviceSeen } from './collect-device-seen.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const device = { tenantId: 't1', userId: 'u1', deviceId: 'd1' };
let test: TestDatabase;

beforeAll(async () => {
  test = await gatewayDatabase();
});
beforeEach(() => test.database.call('clear', 'DELETE FROM sync_outbox', []));
afterAll(() => test.drop());

function collector(connected: readonly string[] = []): CollectDeviceSeen {
  return new CollectDeviceSeen({
    ...{ database: test.database, logger, onEvents: () => undefined },
    isConnected: ({ deviceId }) => connected.includes(deviceId),
  });
}

async function written(): Promise<{ partition: number; events: SyncEvent<'sync.device.seen.v1'>[] }[]> {
  const rows = await test.database.call<{ partition: number; payload: string }>(
    'rows',
    'SELECT partition, payload FROM sync_outbox ORDER BY id',
    [],
  );
  return rows.map(({ partition, payload }) => ({
    partition,
    events: JSON.parse(payload) as SyncEvent<'sync.device.seen.v1'>[],
  }));
}

async function seen(): Promise<DeviceSeen[]> {
  return (await written()).flatMap(({ events }) => events.flatMap(({ data }) => data.devices));
}

it('writes nothing for nothing', async () => {
  await collector().flush();
  expect(await written()).toEqual([]);
});

it('tells the latest of each device once, whatever number of requests it sent', async () => {
  const collect = collector(['d1']);
  collect.record(device, {
    clockOffsetMs: 4000,
    backlog: { pending: 7, oldestAt: '2026-01-01T00:00:00.000Z' },
  });
  collect.record(device, { clockOffsetMs: 5000 });
  await collect.flush();
  expect(await seen()).toEqual([
    {
      ...device,
      lastSeenAt: expect.any(String),
      connected: true,
      clockOffsetMs: 5000,
      pending: 7,
      oldestPendingAt: '2026-01-01T00:00:00.000Z',
    },
  ]);
  await collect.flush();
  expect(await seen()).toHaveLength(1);
});

it('forgets the oldest entry of a backlog that is empty again', async () => {
  const collect = collector();
  collect.record(device, { backlog: { pending: 7, oldestAt: '2026-01-01T00:00:00.000Z' } });
  collect.record(device, { backlog: { pending: 0 } });
  await collect.flush();
  expect(await seen()).toMatchObject([
    { pending: 0, oldestPendingAt: null, connected: false, clockOffsetMs: null },
  ]);
});

it('keeps tenants in events of their own and a device in its partition', async () => {
  const collect = collector();
  for (let at = 0; at < 2_500; at += 1)
    collect.record({ ...device, tenantId: `t${at % 3}`, deviceId: `d${at}` }, {});
  await collect.flush();
  const rows = await written();
  expect(new Set(rows.map(({ partition }) => partition))).toEqual(new Set([0, 1]));
  for (const { events } of rows) {
    expect(JSON.stringify(events).length).toBeLessThan(300_000);
    for (const { tenantid, data } of events)
      expect(data.devices.every(({ tenantId }) => tenantId === tenantid)).toBe(true);
  }
  expect(await seen()).toHaveLength(2_500);
});

it('keeps what could not be written for the next time', async () => {
  let failing = true;
  const collect = new CollectDeviceSeen({
    ...{ logger, isConnected: () => false, onEvents: () => undefined },
    database: {
      transaction: async (work) => {
        if (failing) throw new Error('away');
        return test.database.transaction(work);
      },
    },
  });
  collect.record(device, { clockOffsetMs: 1 });
  await collect.flush();
  expect(await seen()).toEqual([]);
  failing = false;
  await collect.stop();
  expect(await seen()).toMatchObject([{ deviceId: 'd1', clockOffsetMs: 1 }]);
});
