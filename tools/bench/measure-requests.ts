/** pull-500, ack and pull-empty: one request each, with 1 and 16 clients. */
import type { PullResponse } from '@sync/protocol';
import { KeepAliveClient } from './keep-alive-client.ts';
import { type OperationResult, result } from './result.ts';
import { laneOf, perLaneOf, runFloor } from './request-load.ts';
import { runLoad } from './run-load.ts';
import { type BenchDevice, type World, bindBenchDevices, floorRequest } from './world.ts';
import { assertApplied, pullPage, pullToHead, pushBody, waitForEntities } from './workload.ts';

/** Devices whose own scope holds at least 1,000 entities. */
async function filledDevices(world: World, clients: number): Promise<BenchDevice[]> {
  const devices = await bindBenchDevices(world, clients);
  for (const device of devices) {
    for (let batch = 0; batch < 4; batch += 1) {
      assertApplied((await device.send(device.prepare('/sync/v1/push', pushBody(device, 250)))).body);
    }
  }
  for (const device of devices) await waitForEntities(device, 1_000);
  return devices;
}

export async function measurePull(world: World, clients: number): Promise<OperationResult> {
  const load = { clients, total: world.sizes.pulls, meter: world.meters.platform };
  const devices = await filledDevices(world, clients);
  // The floor has deltas only: the outcomes of 500 mutations in each answer would be a sixth more bytes.
  await Promise.all(devices.map(ackOutcomes));
  const first = await Promise.all(devices.map((device) => pullPage(device, null, 500)));
  const requests = devices.map((device, lane) =>
    device.prepare('/sync/v1/pull', {
      scopes: [{ scope: device.scope, cursor: first[lane]?.scopes[0]?.cursor ?? null }],
      limit: 500,
    }),
  );
  const samples = await runLoad(load, async (lane) => {
    await laneOf(devices, lane).send(laneOf(requests, lane));
  });
  await fillFloorPages(world, devices, requests);
  const floor = await runFloor(world, load, (http, lane) =>
    http.send(floorRequest(world, `/pull?scope=${laneOf(devices, lane).scope}&after=0&limit=500`)),
  );
  return result('pull-500', clients, samples, floor);
}

/** The floor serves the very same deltas, so that both send the same bytes. */
async function fillFloorPages(
  world: World,
  devices: readonly BenchDevice[],
  requests: readonly ReturnType<BenchDevice['prepare']>[],
): Promise<void> {
  const http = new KeepAliveClient();
  for (const [lane, device] of devices.entries()) {
    const answer = await device.send(laneOf(requests, lane));
    const page = JSON.parse(answer.body.toString()) as { scopes: { deltas: unknown[] }[] };
    const deltas = page.scopes[0]?.deltas ?? [];
    if (deltas.length !== 500) throw new Error(`the page holds ${deltas.length} deltas instead of 500`);
    await http.send(floorRequest(world, `/fill?scope=${device.scope}`, JSON.stringify(deltas)));
  }
  http.close();
}

export async function measureAck(world: World, clients: number): Promise<OperationResult> {
  const load = { clients, total: world.sizes.acks, meter: world.meters.platform };
  const devices = await filledDevices(world, clients);
  const requests = await Promise.all(
    devices.map((device) => ackRequests(device, Math.min(perLaneOf(load), 1_000))),
  );
  const samples = await runLoad(load, async (lane) => {
    const device = laneOf(devices, lane);
    // Each ack advances the cursor by one: an ack that changes nothing would be cheaper than a real one.
    const queue = laneOf(requests, lane);
    const request = queue.length > 1 ? queue.shift() : queue[0];
    if (request) await device.send(request);
  });
  const floor = await runFloor(world, load, (http, lane, run) =>
    http.send(
      floorRequest(world, '/ack', JSON.stringify({ device: `d${lane}`, scope: 'user:u', sequence: run })),
    ),
  );
  return result('ack', clients, samples, floor);
}

/** Acks of one more delta each, oldest first. */
async function ackRequests(
  device: BenchDevice,
  count: number,
): Promise<ReturnType<BenchDevice['prepare']>[]> {
  const requests: ReturnType<BenchDevice['prepare']>[] = [];
  let cursor: string | null = null;
  for (let index = 0; index < count; index += 1) {
    const answer: PullResponse = await pullPage(device, cursor, 1);
    const page = answer.scopes[0];
    if (!page?.hasMore) break;
    cursor = page.cursor;
    requests.push(device.prepare('/sync/v1/ack', { cursors: [{ scope: device.scope, cursor }] }));
  }
  return requests;
}

export async function measureEmptyPull(world: World, clients: number): Promise<OperationResult> {
  const load = { clients, total: world.sizes.emptyPulls, meter: world.meters.platform };
  const devices = await filledDevices(world, clients);
  const requests = await Promise.all(
    devices.map(async (device) => {
      const { cursor } = await pullToHead(device);
      await ackOutcomes(device);
      return device.prepare('/sync/v1/pull', { scopes: [{ scope: device.scope, cursor }], limit: 500 });
    }),
  );
  const samples = await runLoad(load, async (lane) => {
    await laneOf(devices, lane).send(laneOf(requests, lane));
  });
  const floor = await runFloor(world, load, (http, lane) =>
    http.send({ ...laneOf(requests, lane), url: `${world.frameworkUrl}/framework` }),
  );
  return result('pull-empty', clients, samples, floor);
}

/** Outcomes come with every pull until they are acknowledged; an empty pull has none. */
async function ackOutcomes(device: BenchDevice): Promise<void> {
  for (;;) {
    const { outcomes } = await pullPage(device, null, 1);
    if (outcomes.length === 0) return;
    await device.call('/sync/v1/ack', { outcomes: outcomes.map(({ mutationId }) => mutationId) });
  }
}
