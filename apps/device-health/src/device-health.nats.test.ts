import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { appendToOutbox, connectNats, request } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { type TestDatabase, createTestDatabase, startPostgres } from '@sync/postgres/testing';
import {
  type DeviceHealth,
  type DevicesReply,
  type SyncEvent,
  type SyncEventData,
  type SyncEventType,
  subjects,
} from '@sync/protocol';
import type { RunningService } from '@sync/service-kit';
import { FUNCTIONS, MIGRATIONS } from './database/schema.ts';
import { readHealthConfig } from './config.ts';
import { startHealthService } from './start-health-service.ts';

const agoIso = (ms: number): string => new Date(Date.now() - ms).toISOString();
const HOUR_MS = 3_600_000;

function event<T extends SyncEventType>(
  type: T,
  data: SyncEventData[T],
  about: Partial<SyncEvent> = {},
): SyncEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    tenantid: 't1',
    data,
    ...about,
  };
}

type SeenDevice = SyncEventData['sync.device.seen.v1']['devices'][number];

const seenData = (deviceId: string): SeenDevice => ({
  tenantId: 't1',
  userId: 'u1',
  deviceId,
  lastSeenAt: new Date().toISOString(),
  connected: true,
  clockOffsetMs: null,
  pending: null,
  oldestPendingAt: null,
});
const seen = (deviceId: string, told: Partial<SeenDevice> = {}): SyncEvent =>
  event('sync.device.seen.v1', { devices: [{ ...seenData(deviceId), ...told }] });

describe('device-health', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let test: TestDatabase;
  let service: RunningService;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'test' });
    test = await createTestDatabase({
      postgres: await startPostgres(),
      name: 'health',
      migrations: MIGRATIONS,
      functions: FUNCTIONS,
    });
    service = await startHealthService(
      readHealthConfig({
        NATS_URL: server.url,
        DATABASE_URL: test.appUrl,
        ASSESS_EVERY_SECONDS: '1',
        DRAIN_READINESS_MS: '0',
        LOG_LEVEL: 'silent',
      }),
    );
  });
  afterAll(async () => {
    await service.stop();
    await nats.close();
    await server.stop();
    await test.drop();
  });

  /** The service's own outbox stands in for the gateway's: the hop is the same. */
  const publish = (...events: readonly SyncEvent[]): Promise<void> =>
    test.database.transaction((tx) =>
      appendToOutbox(tx, [{ stream: 'SYNC_EVENTS', partition: 0, payload: JSON.stringify(events) }]),
    );

  const list = (body: object): Promise<DevicesReply> =>
    request<DevicesReply>(
      nats,
      subjects.deviceHealth,
      { tenantId: 't1', cursor: null, limit: 50, ...body },
      { timeoutMs: 5_000 },
    );

  async function waitFor(
    deviceId: string,
    wanted: (device: DeviceHealth) => boolean,
    tenantId = 't1',
  ): Promise<DeviceHealth> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const [device] = (await list({ tenantId, deviceId })).devices;
      if (device && wanted(device)) return device;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`device ${deviceId} never looked as wanted: ${JSON.stringify(await list({ deviceId }))}`);
  }

  it('shows what gateways saw of a device', async () => {
    const oldestPendingAt = agoIso(60_000);
    await publish(seen('d1', { pending: 3, oldestPendingAt, clockOffsetMs: -1_500 }));
    const device = await waitFor('d1', () => true);
    expect(device).toMatchObject({ userId: 'u1', status: 'healthy', reasons: [], connected: true });
    expect(device).toMatchObject({
      pending: 3,
      oldestPendingAt,
      clockOffsetMs: -1_500,
      fullResyncs: 0,
      scopes: [],
    });
  });

  it('counts its messages under the names that every process with an inbox or an outbox uses', async () => {
    await waitFor('d1', () => true);
    const text = await (await fetch(new URL('/metrics', service.opsUrl))).text();
    expect(text).toMatch(/^sync_consumed_messages_total\{stream="SYNC_EVENTS".*\} [1-9]/m);
    expect(text).toMatch(/^sync_relay_published_messages_total\{stream="SYNC_EVENTS".*\} [1-9]/m);
    expect(text).toMatch(/^sync_inbox_watermark\{stream="SYNC_EVENTS",producer="device-health".*\} [1-9]/m);
  });

  it('keeps what a later report leaves out and never goes back in time', async () => {
    await publish(
      seen('d2', { pending: 7, clockOffsetMs: 20 }),
      seen('d2', { lastSeenAt: agoIso(HOUR_MS), connected: true }),
    );
    const device = await waitFor('d2', () => true);
    expect(device).toMatchObject({ pending: 7, clockOffsetMs: 20 });
    expect(Date.parse(device.lastSeenAt ?? '')).toBeGreaterThan(Date.now() - HOUR_MS / 2);
  });

  it('says since when a scope is behind, and stops saying so once the cursor advanced', async () => {
    const about = { deviceid: 'd3', userid: 'u1' };
    const at = (sequence: string, ms: number): SyncEvent =>
      event(
        'sync.delta.projected.v1',
        { scope: 'user:u1', epoch: 'e1', fromSequence: sequence, toSequence: sequence, deltas: 1, lagMs: 5 },
        { time: agoIso(ms) },
      );
    const cursor = (sequence: string, ms: number): SyncEvent =>
      event(
        'sync.cursor.advanced.v1',
        { cursors: [{ scope: 'user:u1', epoch: 'e1', sequence }], purged: [] },
        { ...about, time: agoIso(ms) },
      );
    await publish(
      seen('d3'),
      at('5', 3 * HOUR_MS),
      cursor('5', 3 * HOUR_MS),
      at('6', 2 * HOUR_MS),
      at('9', HOUR_MS),
    );
    const behind = await waitFor('d3', ({ scopes }) => scopes?.[0]?.headSequence === '9');
    expect(behind).toMatchObject({ status: 'lagging', scopes: [{ ackedSequence: '5', headSequence: '9' }] });
    const stalenessMs = behind.scopes?.[0]?.stalenessMs ?? 0;
    expect(stalenessMs / HOUR_MS).toBeCloseTo(2, 1);

    await publish(cursor('9', 0));
    const caughtUp = await waitFor('d3', ({ scopes }) => scopes?.[0]?.ackedSequence === '9');
    expect(caughtUp).toMatchObject({ status: 'healthy', scopes: [{ stalenessMs: 0 }] });
  });

  it.each([
    ['the first change of a minute that it has not', 'd8', '4', 10_000],
    ['the last one, where it has the first of that minute', 'd9', '5', 50_000],
  ])('counts how long a scope is behind from %s', async (_name, deviceId, acked, sinceMs) => {
    const minuteMs = Math.floor((Date.now() - HOUR_MS) / 60_000) * 60_000;
    const scope = `course:${deviceId}`;
    const at = (ms: number): { time: string } => ({ time: new Date(minuteMs + ms).toISOString() });
    const changed = (sequence: string, ms: number): SyncEvent =>
      event(
        'sync.delta.projected.v1',
        { scope, epoch: 'e1', fromSequence: sequence, toSequence: sequence, deltas: 1, lagMs: 5 },
        at(ms),
      );
    const cursors = [{ scope, epoch: 'e1', sequence: acked }];
    const about = { tenantid: 't1', deviceid: deviceId, userid: 'u8' };
    await publish(
      seen(deviceId, { userId: 'u8' }),
      event('sync.cursor.advanced.v1', { cursors, purged: [] }, { ...about, ...at(5_000) }),
      changed('5', 10_000),
      changed('6', 30_000),
    );
    await publish(changed('9', 50_000));
    await waitFor(deviceId, ({ scopes }) => scopes?.[0]?.headSequence === '9');
    const beforeMs = Date.now();
    const behind = await waitFor(deviceId, () => true);
    const stalenessMs = behind.scopes?.[0]?.stalenessMs ?? 0;
    expect(stalenessMs).toBeGreaterThanOrEqual(beforeMs - (minuteMs + sinceMs));
    expect(stalenessMs).toBeLessThanOrEqual(Date.now() - (minuteMs + sinceMs));
  });

  it('counts full resyncs once each and calls repeated ones a risk', async () => {
    const resync = (): SyncEvent =>
      event(
        'sync.resync.required.v1',
        { scopes: ['user:u1'], reason: 'retention' },
        { deviceid: 'd4', userid: 'u1' },
      );
    const first = resync();
    await publish(seen('d4'), first, first, resync(), resync());
    const device = await waitFor('d4', ({ fullResyncs }) => fullResyncs === 3);
    expect(device.status).toBe('at_risk');
    expect(device.reasons.join()).toContain('full_resyncs');
  });

  it('lists a purge that is owed until its receipt', async () => {
    const about = { deviceid: 'd5', userid: 'u5' };
    const cursors = [{ scope: 'course:c1', epoch: 'e1', sequence: '1' }];
    await publish(
      seen('d5', { userId: 'u5' }),
      event('sync.cursor.advanced.v1', { cursors, purged: [] }, about),
    );
    await publish(event('sync.scope.revoked.v1', { scope: 'course:c1' }, { userid: 'u5' }));
    const owing = await waitFor('d5', ({ reasons }) => reasons.length > 0);
    expect(owing.reasons.join()).toMatch(/purge_owed.*course:c1/);
    await publish(event('sync.cursor.advanced.v1', { cursors: [], purged: ['course:c1'] }, about));
    expect(await waitFor('d5', ({ reasons }) => reasons.length === 0)).toMatchObject({
      status: 'healthy',
      scopes: [],
    });
  });

  it('announces a device that became stale and, once, that it recovered', async () => {
    const notices: SyncEvent[] = [];
    const subscription = nats.subscribe('analytics.sync.v1.*.device-health', {
      callback: (_error, message) => void notices.push(...message.json<SyncEvent[]>()),
    });
    await publish(seen('d6', { lastSeenAt: agoIso(30 * 24 * HOUR_MS), connected: false }));
    await waitFor('d6', ({ status }) => status === 'stale');
    const typesOf = (): string[] =>
      notices.filter(({ deviceid }) => deviceid === 'd6').map(({ type }) => type);
    const until = async (count: number): Promise<void> => {
      for (let attempt = 0; attempt < 200 && typesOf().length < count; attempt += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await until(1);
    await publish(seen('d6'));
    await until(2);
    subscription.unsubscribe();
    expect(typesOf()).toEqual(['sync.device.stale.v1', 'sync.device.recovered.v1']);
  });

  it('marks a revoked device for good', async () => {
    const revokedAt = new Date().toISOString();
    await publish(
      seen('d7'),
      event('sync.device.revoked.v1', { revokedAt }, { deviceid: 'd7', userid: 'u1' }),
      seen('d7'),
    );
    expect((await waitFor('d7', () => true)).status).toBe('revoked');
  });

  it('pages by device id, filters, and never shows another tenant', async () => {
    const first = await list({ limit: 3 });
    const second = await list({ limit: 50, cursor: first.next });
    const ids = [...first.devices, ...second.devices].map(({ deviceId }) => deviceId);
    expect(ids).toEqual([...ids].sort());
    expect(ids.length).toBe(9);
    expect((await list({ tenantId: 't2' })).devices).toEqual([]);
    expect((await list({ userId: 'u5' })).devices.map(({ deviceId }) => deviceId)).toEqual(['d5']);
  });

  it('shows the scopes of a device in pages, and judges it by the worst of them', async () => {
    const about = { tenantid: 't3', deviceid: 'many', userid: 'u1' };
    const scopeOf = (place: number): string => `course:c${10_000 + place}`;
    const cursors = Array.from({ length: 1_200 }, (_, place) => {
      return { scope: scopeOf(place), epoch: 'e1', sequence: '1' };
    });
    const devices = [{ ...seenData('many'), tenantId: 't3' }];
    await publish(
      event('sync.device.seen.v1', { devices }),
      event('sync.cursor.advanced.v1', { cursors, purged: [] }, about),
      event('sync.scope.revoked.v1', { scope: scopeOf(1_199) }, { tenantid: 't3', userid: 'u1' }),
    );
    const asked = { tenantId: 't3', deviceId: 'many' };
    const scopes: string[] = [];
    let pages = 0;
    await waitFor('many', ({ reasons }) => reasons.length > 0, 't3');
    for (let cursor: string | null = null; pages === 0 || cursor !== null; pages += 1) {
      const page: DevicesReply = await list({ ...asked, cursor });
      expect(page.devices[0]).toMatchObject({ status: 'lagging' });
      expect(page.devices[0]?.reasons.join()).toContain(scopeOf(1_199));
      scopes.push(...(page.devices[0]?.scopes ?? []).map(({ scope }) => scope));
      cursor = page.next;
    }
    expect(pages).toBe(3);
    expect(scopes).toEqual(cursors.map(({ scope }) => scope));
  });

  it('judges a device by a scope that is old, however many purges it owes', async () => {
    const owed = Array.from({ length: 100 }, (_, place) => `course:owed${place}`);
    const cursors = [...owed, 'course:old'].map((scope) => ({ scope, epoch: 'e1', sequence: '1' }));
    const longAgo = { time: agoIso(96 * HOUR_MS) };
    const projected = { epoch: 'e1', fromSequence: '2', toSequence: '2', deltas: 1, lagMs: 5 };
    await publish(
      event('sync.device.seen.v1', { devices: [seenData('owing')] }, { tenantid: 't4' }),
      event(
        'sync.cursor.advanced.v1',
        { cursors, purged: [] },
        { tenantid: 't4', deviceid: 'owing', userid: 'u1', ...longAgo },
      ),
      event(
        'sync.delta.projected.v1',
        { scope: 'course:old', ...projected },
        { tenantid: 't4', time: agoIso(72 * HOUR_MS) },
      ),
      ...owed.map((scope) => event('sync.scope.revoked.v1', { scope }, { tenantid: 't4', userid: 'u1' })),
    );
    const { status, reasons } = await waitFor(
      'owing',
      (device) => device.reasons.join().includes('purge_owed'),
      't4',
    );
    expect(status).toBe('stale');
    expect(reasons.join()).toMatch(/scope_stale.*course:old/);
  });

  it('keeps what it hears of several tenants at once apart', async () => {
    const tenants = ['t5', 't6'];
    const cursors = [{ scope: 'user:u1', epoch: 'e1', sequence: '1' }];
    await publish(
      ...tenants.flatMap((tenantid, pending) => [
        event('sync.device.seen.v1', { devices: [{ ...seenData('same'), pending }] }, { tenantid }),
        event(
          'sync.cursor.advanced.v1',
          { cursors, purged: [] },
          { tenantid, deviceid: 'same', userid: 'u1' },
        ),
      ]),
      event('sync.scope.revoked.v1', { scope: 'user:u1' }, { tenantid: 't6', userid: 'u1' }),
    );
    const owing = await waitFor('same', ({ reasons }) => reasons.length > 0, 't6');
    const other = await waitFor('same', ({ scopes }) => scopes?.length === 1, 't5');
    expect([owing.pending, other.pending]).toEqual([1, 0]);
    expect([owing.reasons.length, other.reasons]).toEqual([1, []]);
  });

  it('refuses a malformed question with the path', async () => {
    await expect(list({ limit: 0 })).rejects.toMatchObject({
      code: 'schema_invalid',
      message: expect.stringContaining('/limit') as string,
    });
  });
});
