/** Load of single requests, on the platform and on its floor: a lane is one client with one connection. */
import { KeepAliveClient } from './keep-alive-client.ts';
import type { Samples } from './percentiles.ts';
import { type Load, runLoad, warmUpRuns } from './run-load.ts';
import type { World } from './world.ts';

/** Requests to prepare per lane. Lanes do not take turns exactly; a faster lane needs more than its share. */
export function perLaneOf(load: Load): number {
  return Math.ceil(((load.total + warmUpRuns(load)) * 1.5) / load.clients) + 20;
}

/** Runs the floor's part with the same number of connections. */
export async function runFloor(
  world: World,
  load: Load,
  send: (http: KeepAliveClient, lane: number, run: number) => Promise<unknown>,
): Promise<Samples> {
  const connections = Array.from({ length: load.clients }, () => new KeepAliveClient());
  const samples = await runLoad({ ...load, meter: world.meters.floor }, async (lane, run) => {
    await send(laneOf(connections, lane), lane, run);
  });
  for (const connection of connections) connection.close();
  return samples;
}

/** What a lane has for itself. */
export function laneOf<T>(lanes: readonly T[], lane: number): T {
  const own = lanes[lane];
  if (own === undefined) throw new RangeError(`no lane ${lane}`);
  return own;
}
