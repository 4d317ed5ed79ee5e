/** client-queue-10k: a device on `@sync/client` comes back to the platform with what it wrote offline. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHttpTransport, createSyncClient } from '@sync/client';
import { importDeviceKey, webCryptoKey } from '@sync/client/webcrypto-key';
import { openSqliteStore } from '@sync/client/sqlite';
import { NodeSqliteDriver } from '@sync/client/testing/node-sqlite-driver';
import type { PushResponse } from '@sync/protocol';
import { type OperationResult, result } from './result.ts';
import { pushBody, statementData } from './workload.ts';
import { type BenchDevice, TENANT, type World, bindBenchDevices } from './world.ts';

const BATCH = 500;
const ROUNDS = 3;

interface Drain {
  /** From the start until its owner has applied the last mutation. */
  readonly tookMs: number;
  /** CPU of this process, which has the device, from the first write. */
  readonly cpuMs: number;
}

/**
 * The device pushes what it has queued, pulls and acks; the floor sends as many mutations in batches of 500
 * that were tagged and signed before, one after the other. Both are done when all are applied.
 */
export async function measureQueue(world: World): Promise<OperationResult> {
  const { queued } = world.sizes;
  const drains: Drain[] = [];
  const floor: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    floor.push(await withDevice(world, (device) => sendRaw(device, queued)));
    drains.push(await withDevice(world, (device) => drainQueue(world, device, queued)));
  }
  const cpu = drains.map(({ cpuMs }) => cpuMs / queued).sort((a, b) => a - b);
  const took = drains.map(({ tookMs }) => tookMs);
  return result('client-queue-10k', 1, samplesOf(took), samplesOf(floor), {
    cpuPerMutationMs: cpu[ROUNDS >> 1] ?? Number.NaN,
    mutationsPerSecond: (queued * ROUNDS * 1_000) / took.reduce((sum, one) => sum + one, 0),
  });
}

async function withDevice<T>(world: World, use: (device: BenchDevice) => Promise<T>): Promise<T> {
  const [device] = await bindBenchDevices(world, 1);
  if (!device) throw new Error('a device is needed');
  return use(device).finally(() => device.http.close());
}

async function sendRaw(device: BenchDevice, queued: number): Promise<number> {
  const batches = Array.from({ length: queued / BATCH }, () =>
    device.prepare('/sync/v1/push', pushBody(device, BATCH)),
  );
  const startedMs = performance.now();
  for (const batch of batches) {
    // A slow owner is answered for with `accepted`; asking again tells how it ended.
    while (!isApplied((await device.send(batch)).body))
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - startedMs;
}

/** @throws Error where one of them never will be */
function isApplied(body: Buffer): boolean {
  const { outcomes } = JSON.parse(body.toString()) as PushResponse;
  const other = outcomes.find(({ status }) => status !== 'applied' && status !== 'accepted');
  if (other) throw new Error(`a mutation was not applied: ${JSON.stringify(other)}`);
  return outcomes.every(({ status }) => status === 'applied');
}

async function drainQueue(world: World, device: BenchDevice, queued: number): Promise<Drain> {
  const folder = await mkdtemp(join(tmpdir(), 'sync-bench-queue-'));
  const client = await openClient(world, device, join(folder, 'device.db'));
  try {
    const statements = client.entity('statement');
    const before = process.cpuUsage();
    const writes = await Promise.all(
      Array.from({ length: queued }, (_each, n) => {
        const id = crypto.randomUUID();
        return statements.append(statementData(id, n), { id, scope: device.scope });
      }),
    );
    const startedMs = performance.now();
    client.start();
    await Promise.all(writes.map((write) => write.wait('applied')));
    const tookMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(before);
    return { tookMs, cpuMs: (user + system) / 1_000 };
  } finally {
    await client.close();
    await rm(folder, { recursive: true });
  }
}

async function openClient({ urls }: World, { userId, credentials }: BenchDevice, file: string) {
  const { deviceId, hmacKey, accessToken } = credentials;
  const identity = { tenantId: TENANT, userId, deviceId };
  const key = await webCryptoKey(await importDeviceKey(Buffer.from(hmacKey, 'base64')), identity);
  const driver = new NodeSqliteDriver(file);
  return createSyncClient({
    ...{ identity, key, entities: { statement: {} } },
    store: await openSqliteStore({ driver, close: () => driver.database.close() }),
    transport: createHttpTransport({
      ...{ gatewayUrl: urls.gateway, identity, key, token: async () => accessToken },
    }),
  });
}

function samplesOf(latenciesMs: readonly number[]) {
  return { latenciesMs, tookMs: latenciesMs.reduce((sum, one) => sum + one, 0) };
}
