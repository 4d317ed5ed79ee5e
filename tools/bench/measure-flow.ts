/** projection and first-sync-50k: many events of the server's side, and many entities for one device. */
import { randomUUID } from 'node:crypto';
import { KeepAliveClient } from './keep-alive-client.ts';
import type { Samples } from './percentiles.ts';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { TENANT, type BenchDevice, type World, bindBenchDevices, floorRequest } from './world.ts';
import { pullPage, pullToHead, pushBody, waitForEntities, writeOnServer } from './workload.ts';

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
  const projected = async (): Promise<number> => {
    const [row] = await world.observer.query<{ total: string }>(
      'delta_projector',
      'SELECT coalesce(sum(sequence), 0) AS total FROM scope_head WHERE tenant_id = $1 AND scope = ANY ($2)',
      [TENANT, users.map((userId) => `user:${userId}`)],
    );
    return Number(row?.total ?? 0);
  };
  const end = await world.meters.platform.beginNow();
  await world.stack.kill('projector', 'SIGCONT');
  const { perBatch, eventsPerSecond } = await followProgress(projected, events);
  const samples = { ...perBatch, cost: await end(), operations: events / BATCH };
  return result('projection', 1, samples, await projectionFloor(world), { eventsPerSecond });
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
  const total = Math.max(10, world.sizes.projectionEvents / BATCH / 2);
  const samples = await runLoad({ clients: 1, total, meter: world.meters.floor }, async () => {
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
  const samples = await runLoad({ clients: 1, total: 3, meter: world.meters.platform }, async () => {
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
  const samples = await runLoad({ clients: 1, total: 3, meter: world.meters.floor }, async () => {
    for (let pages = 0; pages < entities / 1_000; pages += 1) {
      const answer = await http.send(floorRequest(world, '/pull?scope=first-sync&after=0&limit=1000'));
      JSON.parse(answer.body.toString());
    }
  });
  http.close();
  return samples;
}
