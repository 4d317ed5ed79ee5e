/** push-1 and push-100: statements that nobody has written before, one or a hundred in each request. */
import type { RawRequest } from './keep-alive-client.ts';
import { type OperationResult, result } from './result.ts';
import { type Load, runLoad } from './run-load.ts';
import { laneOf, perLaneOf, runFloor } from './request-load.ts';
import { type BenchDevice, type World, bindBenchDevices, floorRequest } from './world.ts';
import { assertApplied, pushBody, waitForEntities } from './workload.ts';

/** What is optimized per mutation is warm after few pushes of a hundred, but after many of one. */
const LEAST_WARM_UP = { 1: 200, 100: 40 } as const;

/** @param size mutations in each push */
export async function measurePush(world: World, size: 1 | 100, clients: number): Promise<OperationResult> {
  const load = loadOf(world, size, clients);
  const bodies = Array.from({ length: perLaneOf(load) });
  const devices = await bindBenchDevices(world, clients);
  const floorBodies = devices.map((device) => bodies.map(() => JSON.stringify(pushBody(device, size))));
  const floor = await runFloor(world, load, (http, lane) =>
    http.send(floorRequest(world, '/push', laneOf(floorBodies, lane).shift() ?? '{}')),
  );
  const prepare = (device: BenchDevice): RawRequest =>
    device.prepare('/sync/v1/push', pushBody(device, size));
  const prepared = devices.map((device) => bodies.map(() => prepare(device)));
  const pushed = new Array<number>(clients).fill(0);
  const storedBefore = await world.observer.storageBytes();
  const samples = await runLoad(load, async (lane) => {
    const device = laneOf(devices, lane);
    assertApplied((await device.send(laneOf(prepared, lane).shift() ?? prepare(device))).body);
    pushed[lane] = (pushed[lane] ?? 0) + size;
  });
  const stored = (await world.observer.storageBytes()) - storedBefore;
  await Promise.all(devices.map((device, lane) => waitForEntities(device, pushed[lane] ?? 0)));
  for (const { http } of devices) http.close();
  const all = pushed.reduce((sum, mutations) => sum + mutations, 0);
  return result(`push-${size}`, clients, samples, floor, {
    projectionCatchUpMs: samples.cost?.projectedAfterMs ?? Number.NaN,
    walBytesPerMutation: (samples.cost?.walBytes ?? Number.NaN) / (load.total * size),
    // Tables grow by whole pages, of which pushes of one fill too few.
    ...(size === 1 ? {} : { storageBytesPerMutation: stored / all }),
  });
}

/** More clients get more done in the same time. */
function loadOf({ sizes, meters }: World, size: 1 | 100, clients: number): Load {
  const pushes = size === 1 ? sizes.pushesOfOne : sizes.pushes;
  const total = clients === 1 ? pushes : pushes * (clients === 16 ? 2 : 4);
  return { clients, total, leastWarmUp: LEAST_WARM_UP[size], meter: meters.platform };
}
