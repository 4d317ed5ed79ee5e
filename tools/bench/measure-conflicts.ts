/**
 * push-100-conflicts: ten of the hundred mutations compete with a change of the server that their device has
 * not seen.
 */
import { randomUUID } from 'node:crypto';
import { type OperationResult, result } from './result.ts';
import { runLoad, warmUpRuns } from './run-load.ts';
import { assertApplied, pushBody, waitForEntities } from './workload.ts';
import { type BenchDevice, TENANT, type World, bindBenchDevices } from './world.ts';

const CONFLICTS = 10;
const PAGE = 1_000;

/** One client. The floor is the same push without conflicts, by the same device. */
export async function measureConflicts(world: World): Promise<OperationResult> {
  const load = { clients: 1, total: world.sizes.conflictPushes, meter: world.meters.platform };
  const runs = load.total + warmUpRuns(load);
  const [device] = await bindBenchDevices(world, 1);
  if (!device) throw new Error('no device');
  const entityIds = await competeWith(world, device, runs * CONFLICTS);
  const clean = Array.from({ length: runs }, () => device.prepare('/sync/v1/push', pushBody(device, 100)));
  const floor = await runLoad(load, async (_lane, run) => {
    const request = clean[run];
    if (request) assertApplied((await device.send(request)).body);
  });
  const prepared = Array.from({ length: runs }, (_unused, run) => {
    const ids = entityIds.slice(run * CONFLICTS, (run + 1) * CONFLICTS);
    return device.prepare('/sync/v1/push', conflictBody(device, ids));
  });
  await waitForEntities(device, runs * (100 + CONFLICTS));
  const samples = await runLoad(load, async (_lane, run) => {
    const request = prepared[run];
    if (request) assertMerged((await device.send(request)).body);
  });
  return result('push-100-conflicts', 1, samples, floor);
}

/** Entities that the server has changed twice, of which the device will have seen the first state. */
async function competeWith(world: World, device: BenchDevice, count: number): Promise<string[]> {
  const entityIds = Array.from({ length: count }, () => randomUUID());
  for (const percent of [10, 50]) {
    for (let from = 0; from < count; from += PAGE) {
      const entities = entityIds.slice(from, from + PAGE).map((entityId) => ({
        entityId,
        data: { userId: device.userId, courseId: 'c-1', percent, status: 'in_progress' },
      }));
      const response = await fetch(`${world.urls.learning}/dev/tenants/${TENANT}/entities/progress`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ entities }),
      });
      if (!response.ok)
        throw new Error(`the bulk write answered ${response.status}: ${await response.text()}`);
    }
  }
  await waitForEntities(device, count);
  return entityIds;
}

function conflictBody(device: BenchDevice, entityIds: readonly string[]): object {
  const body = pushBody(device, 100 - entityIds.length) as { readonly mutations: readonly object[] };
  const conflicts = entityIds.map((entityId) => ({
    mutationId: randomUUID(),
    sequence: device.nextSequence(),
    scope: device.scope,
    entityType: 'progress',
    entityId,
    op: 'patch',
    data: { percent: 30 },
    baseClock: { 's:learning': 1 },
    occurredAt: new Date().toISOString(),
    schemaVersion: 1,
  }));
  const tagged = conflicts.map((conflict) => device.tag(conflict));
  return { ...body, mutations: [...body.mutations, ...tagged] };
}

/** @throws unless ten of the mutations were decided by policy and recorded */
function assertMerged(body: Buffer): void {
  const { outcomes } = JSON.parse(body.toString()) as { outcomes: { status: string; conflictId?: string }[] };
  const recorded = outcomes.filter(({ conflictId }) => conflictId !== undefined).length;
  if (recorded !== CONFLICTS)
    throw new Error(`${recorded} mutations were in conflict: ${body.toString().slice(0, 500)}`);
}
