/** idle: what the platform costs a second while nobody wants anything of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type OperationResult, result } from './result.ts';
import type { World } from './world.ts';

/** What the start left to do is done by then. */
const SETTLE_MS = 10_000;

/**
 * One operation is one second, so there is no latency. The floor is the floor server in the same seconds: one
 * process with a listening HTTP server, connections to Postgres that are open, and one to NATS.
 */
export async function measureIdle(world: World): Promise<OperationResult> {
  const { platform, floor } = world.meters;
  await sleep(SETTLE_MS);
  const [endOfPlatform, endOfFloor] = [await platform.begin(), await floor.begin()];
  await sleep(world.sizes.idleMs);
  const samplesOf = async (end: typeof endOfFloor) => {
    const cost = await end();
    return { latenciesMs: [], tookMs: cost.tookMs, cost, operations: cost.tookMs / 1_000 };
  };
  const bare = await samplesOf(endOfFloor);
  return result('idle', 0, await samplesOf(endOfPlatform), bare);
}
