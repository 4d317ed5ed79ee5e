/** write-visible, projection and first-sync-50k: operations that cross all services. */
import { randomUUID } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import type { PullResponse } from '@sync/protocol';
import { Client } from 'pg';
import { KeepAliveClient } from './keep-alive-client.ts';
import type { Samples } from './percentiles.ts';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { TENANT, type BenchDevice, type World, bindBenchDevices, floorRequest } from './world.ts';
import { assertApplied, pullPage, pullToHead, pushBody, waitForEntities, writeOnServer } from './workload.ts';

const BACKGROUND_PUSHES_PER_SECOND = 50;
const BACKGROUND_PUSH_SIZE = 10;

/**
 * From the start of a push on one device to the answer of another device's long poll that carries it, under a
 * background of 500 events/s. The floor does the same with bare parts: a request that commits one row, then a
 * NATS round trip, then a request that reads one row.
 */
export async function measureVisible(world: World): Promise<OperationResult> {
  const userId = `visible-${randomUUID().slice(0, 8)}`;
  const [writer, reader] = await bindBenchDevices(world, 2, userId);
  if (!writer || !reader) throw new Error('two devices are needed');
  assertApplied((await writer.send(writer.prepare('/sync/v1/push', pushBody(writer, 1)))).body);
  await waitForEntities(reader, 1);
  let { cursor } = await pullToHead(reader);
  const background = startBackground(await bindBenchDevices(world, 4));
  const samples = await runLoad(1, world.sizes.visibleWrites, async () => {
    const body = pushBody(writer, 1);
    const pushed = writer.send(writer.prepare('/sync/v1/push', body));
    cursor = await pullUntilNew(reader, cursor);
    assertApplied((await pushed).body);
  });
  const sentPerSecond = await background.stop();
  return result('write-visible', 1, samples, await visibleFloor(world), {
    backgroundEventsPerSecond: sentPerSecond,
  });
}

async function pullUntilNew(reader: BenchDevice, cursor: string): Promise<string> {
  for (;;) {
    const request = { scopes: [{ scope: reader.scope, cursor }], limit: 10, waitMs: 10_000 };
    const page = (await reader.call<PullResponse>('/sync/v1/pull', request)).scopes[0];
    if (page && page.deltas.length > 0) return page.cursor;
  }
}

/** Pushes at a steady rate until it is stopped; answers the rate that was reached. */
function startBackground(devices: readonly BenchDevice[]): { stop(): Promise<number> } {
  const startedMs = performance.now();
  const open = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let pushes = 0;
  const timer = setInterval(() => {
    const device = devices[pushes % devices.length];
    if (!device) return;
    pushes += 1;
    const request = device.prepare('/sync/v1/push', pushBody(device, BACKGROUND_PUSH_SIZE));
    const push = device
      .send(request)
      .then(({ body }) => assertApplied(body))
      .catch((error: unknown) => void failures.push(error))
      .finally(() => open.delete(push));
    open.add(push);
  }, 1000 / BACKGROUND_PUSHES_PER_SECOND);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      if (failures.length > 0)
        throw failures[0] instanceof Error ? failures[0] : new Error(String(failures[0]));
      return (pushes * BACKGROUND_PUSH_SIZE * 1000) / (performance.now() - startedMs);
    },
  };
}

async function visibleFloor(world: World): Promise<Samples> {
  const nats = await connect({ servers: world.stack.urls['nats'] ?? '' });
  const echo = nats.subscribe('bench.echo', {
    callback: (_error, message) => void message.respond(message.data),
  });
  const http = new KeepAliveClient();
  const samples = await runLoad(1, world.sizes.visibleWrites, async (_lane, run) => {
    const row = { device: 'floor', scope: 'user:floor', sequence: run };
    await http.send(floorRequest(world, '/ack', JSON.stringify(row)));
    await nats.request('bench.echo', 'x', { timeout: 5_000 });
    await http.send(floorRequest(world, '/pull?scope=none&after=0&limit=1'));
  });
  http.close();
  echo.unsubscribe();
  await nats.close();
  return samples;
}

const BATCH = 1_000;

/**
 * Events per second of one projector: it is held (SIGSTOP) while the backlog is written and relayed, then let
 * go. Latency is the time per 1,000 events; the floor writes 1,000 rows of the same text into one table, one
 * statement and one commit each.
 */
export async function measureProjection(world: World): Promise<OperationResult> {
  const { projectionEvents: events } = world.sizes;
  const users = Array.from({ length: 10 }, () => `projected-${randomUUID().slice(0, 8)}`);
  await world.stack.kill('projector', 'SIGSTOP');
  for (const userId of users) await writeOnServer(world, userId, events / users.length);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const database = new Client({ connectionString: databaseUrl(world, 'delta_projector') });
  await database.connect();
  const projected = async (): Promise<number> => {
    const { rows } = await database.query<{ total: string }>(
      'SELECT coalesce(sum(sequence), 0) AS total FROM scope_head WHERE tenant_id = $1 AND scope = ANY ($2)',
      [TENANT, users.map((userId) => `user:${userId}`)],
    );
    return Number(rows[0]?.total ?? 0);
  };
  await world.stack.kill('projector', 'SIGCONT');
  const samples = await followProgress(projected, events);
  await database.end();
  return result('projection', 1, samples.perBatch, await projectionFloor(world), {
    eventsPerSecond: samples.eventsPerSecond,
  });
}

/** Row level security hides tenants from the app's role; the administrator reads over all. */
function databaseUrl(world: World, name: string): string {
  const url = new URL(world.stack.urls['postgres'] ?? '');
  url.pathname = `/${name}`;
  return url.href;
}

/** Counts from the first event that is seen projected: waiting for a lease to come back is not projecting. */
async function followProgress(
  projected: () => Promise<number>,
  events: number,
): Promise<{ perBatch: Samples; eventsPerSecond: number }> {
  const latenciesMs: number[] = [];
  let seen = 0;
  let first: { atMs: number; events: number } | null = null;
  let markMs = 0;
  while (seen < events) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = await projected();
    if (now > 0 && first === null) {
      first = { atMs: performance.now(), events: now };
      markMs = first.atMs;
    }
    for (let batches = Math.floor((now - seen) / BATCH); batches > 0; batches -= 1) {
      latenciesMs.push((performance.now() - markMs) / Math.floor((now - seen) / BATCH));
    }
    if (now - seen >= BATCH || now >= events) {
      seen = now >= events ? now : seen + Math.floor((now - seen) / BATCH) * BATCH;
      markMs = performance.now();
    }
  }
  const tookMs = performance.now() - (first?.atMs ?? 0);
  const counted = latenciesMs.slice(1);
  return {
    perBatch: { latenciesMs: counted, tookMs },
    eventsPerSecond: ((events - (first?.events ?? 0)) / tookMs) * 1000,
  };
}

async function projectionFloor(world: World): Promise<Samples> {
  const http = new KeepAliveClient();
  const device = { scope: 'user:floor', nextSequence: () => 1 } as BenchDevice;
  const samples = await runLoad(1, Math.max(10, world.sizes.projectionEvents / BATCH / 2), async () => {
    const { mutations } = pushBody(device, BATCH) as { mutations: { entityId: string }[] };
    const rows = mutations.map((mutation) => ({ id: mutation.entityId, ...mutation }));
    await http.send(floorRequest(world, '/project', JSON.stringify(rows)));
  });
  http.close();
  return samples;
}

/** A new device pulls a scope of 50,000 entities in pages of 1,000; one run is one whole first sync. */
export async function measureFirstSync(world: World): Promise<OperationResult> {
  const { firstSyncEntities: entities } = world.sizes;
  const userId = `first-${randomUUID().slice(0, 8)}`;
  await writeOnServer(world, userId, entities);
  const [probe] = await bindBenchDevices(world, 1, userId);
  if (!probe) throw new Error('a device is needed');
  await waitForEntities(probe, entities);
  const samples = await runLoad(1, 3, async () => {
    const [device] = await bindBenchDevices(world, 1, userId);
    if (!device) throw new Error('a device is needed');
    const { count } = await pullToHead(device);
    if (count !== entities) throw new Error(`first sync brought ${count} of ${entities} entities`);
  });
  return result('first-sync-50k', 1, samples, await firstSyncFloor(world, probe, entities));
}

async function firstSyncFloor(world: World, probe: BenchDevice, entities: number): Promise<Samples> {
  const http = new KeepAliveClient();
  const page = (await pullPage(probe, null, 1_000)).scopes[0];
  await http.send(floorRequest(world, '/fill?scope=first-sync', JSON.stringify(page?.deltas ?? [])));
  const samples = await runLoad(1, 3, async () => {
    for (let pages = 0; pages < entities / 1_000; pages += 1) {
      const answer = await http.send(floorRequest(world, '/pull?scope=first-sync&after=0&limit=1000'));
      JSON.parse(answer.body.toString());
    }
  });
  http.close();
  return samples;
}
