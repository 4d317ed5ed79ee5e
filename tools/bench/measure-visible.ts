/** small-events and write-visible: a stream of small pushes, and what a person sees of her own meanwhile. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNats } from '@sync/messaging';
import type { PullResponse } from '@sync/protocol';
import { KeepAliveClient } from './keep-alive-client.ts';
import type { Samples } from './percentiles.ts';
import { sumOf } from './process-cpu.ts';
import { laneOf, runFloor } from './request-load.ts';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { type BenchDevice, type World, bindBenchDevices, floorRequest, natsUrl } from './world.ts';
import { assertApplied, pullToHead, pushBody, waitForEntities } from './workload.ts';

const PUSHES_PER_SECOND = 50;
const PUSH_SIZE = 10;
const DEVICES = 4;
const WARM_UP_MS = 3_000;

/**
 * What 500 events a second cost, in cores; nothing else runs. The floor commits the rows of each push, one
 * after the other and so in fewer than all cores.
 */
export async function measureSmallEvents(world: World): Promise<OperationResult> {
  const devices = await bindBenchDevices(world, DEVICES);
  const traffic = startTraffic(devices);
  await sleep(WARM_UP_MS);
  const end = await world.meters.underLoad.begin();
  const before = traffic.latenciesMs.length;
  await sleep(world.sizes.smallEventsMs);
  const latenciesMs = traffic.latenciesMs.slice(before);
  const cost = await end();
  await traffic.stop();
  const total = latenciesMs.length;
  const floor = await runFloor(world, { clients: DEVICES, total }, (http, lane) =>
    http.send(floorRequest(world, '/push', JSON.stringify(pushBody(laneOf(devices, lane), PUSH_SIZE)))),
  );
  for (const { http } of devices) http.close();
  return result('small-events', DEVICES, { latenciesMs, tookMs: cost.tookMs, cost }, floor, {
    eventsPerSecond: (total * PUSH_SIZE * 1_000) / cost.tookMs,
    cores: cost.cpu ? sumOf(cost.cpu) / cost.tookMs : Number.NaN,
  });
}

/**
 * From the start of a push on one device to the answer of another device's long poll that carries it, while
 * other devices push 500 events a second, whose CPU is part of the figure. The floor does the same with bare
 * parts: a request that commits one row, then a NATS round trip, then a request that reads one row.
 */
export async function measureVisible(world: World): Promise<OperationResult> {
  const userId = `visible-${randomUUID().slice(0, 8)}`;
  const [writer, reader] = await bindBenchDevices(world, 2, userId);
  if (!writer || !reader) throw new Error('two devices are needed');
  assertApplied((await writer.send(writer.prepare('/sync/v1/push', pushBody(writer, 1)))).body);
  await waitForEntities(reader, 1);
  let { cursor } = await pullToHead(reader);
  const traffic = startTraffic(await bindBenchDevices(world, DEVICES));
  const load = { clients: 1, total: world.sizes.visibleWrites, meter: world.meters.underLoad };
  const samples = await runLoad(load, async () => {
    const body = pushBody(writer, 1);
    const pushed = writer.send(writer.prepare('/sync/v1/push', body));
    cursor = await pullUntilNew(reader, cursor);
    assertApplied((await pushed).body);
  });
  const otherEventsPerSecond = await traffic.stop();
  return result('write-visible', 1, samples, await visibleFloor(world), { otherEventsPerSecond });
}

async function pullUntilNew(reader: BenchDevice, cursor: string): Promise<string> {
  for (;;) {
    const request = { scopes: [{ scope: reader.scope, cursor }], limit: 10, waitMs: 10_000 };
    const page = (await reader.call<PullResponse>('/sync/v1/pull', request)).scopes[0];
    if (page && page.deltas.length > 0) return page.cursor;
  }
}

interface Traffic {
  /** Of each push that was answered. */
  readonly latenciesMs: readonly number[];
  /** @returns how many events a second there were. @throws what a push failed with */
  stop(): Promise<number>;
}

/** Pushes at a steady rate, however long the answers take, until it is stopped. */
function startTraffic(devices: readonly BenchDevice[]): Traffic {
  const startedMs = performance.now();
  const open = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const latenciesMs: number[] = [];
  let pushes = 0;
  const pushOnce = async (device: BenchDevice): Promise<void> => {
    const request = device.prepare('/sync/v1/push', pushBody(device, PUSH_SIZE));
    const sentMs = performance.now();
    assertApplied((await device.send(request)).body);
    latenciesMs.push(performance.now() - sentMs);
  };
  // A timer alone comes a little late each time; what is due is counted from the start.
  const timer = setInterval(() => {
    const due = ((performance.now() - startedMs) * PUSHES_PER_SECOND) / 1_000;
    for (; pushes < due; pushes += 1) {
      const push = pushOnce(laneOf(devices, pushes % devices.length))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => open.delete(push));
      open.add(push);
    }
  }, 1_000 / PUSHES_PER_SECOND);
  return {
    latenciesMs,
    async stop() {
      clearInterval(timer);
      const eventsPerSecond = (pushes * PUSH_SIZE * 1_000) / (performance.now() - startedMs);
      await Promise.all(open);
      if (failures.length > 0)
        throw failures[0] instanceof Error ? failures[0] : new Error(String(failures[0]));
      return eventsPerSecond;
    },
  };
}

async function visibleFloor(world: World): Promise<Samples> {
  const nats = await connectNats({ url: natsUrl(world.stack), name: 'bench' });
  const echo = nats.subscribe('bench.echo', {
    callback: (_error, message) => void message.respond(message.data),
  });
  const http = new KeepAliveClient();
  const load = { clients: 1, total: world.sizes.visibleWrites, meter: world.meters.floor };
  const samples = await runLoad(load, async (_lane, run) => {
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
