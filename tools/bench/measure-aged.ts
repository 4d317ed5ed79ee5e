/** `--aged`: what a push costs beside years of other pushes, against the same push on empty databases. */
import { AGED, ageDatabases } from './aged-databases.ts';
import { measurePush } from './measure-push.ts';
import type { OperationResult } from './result.ts';
import type { World } from './world.ts';

/**
 * The floor of each is the same push, by the same processes, before the databases were filled.
 *
 * @param part which part of {@link AGED} they are filled with
 */
export async function measureAged(world: World, part: number): Promise<OperationResult[]> {
  const pushes = [
    () => measurePush(world, 1, 16),
    () => measurePush(world, 100, 1),
    () => measurePush(world, 100, 16),
  ];
  const inTurn = async (): Promise<OperationResult[]> => {
    const measured: OperationResult[] = [];
    for (const push of pushes) measured.push(await push());
    return measured;
  };
  const fresh = await inTurn();
  const { mutations, entities, devices } = AGED;
  const age = { mutations: mutations * part, entities: entities * part, devices: devices * part };
  await ageDatabases(world.observer, age, (text) => world.out(`  ${text}`));
  const aged = await inTurn();
  return aged.map((one, at) => agedResult(one, fresh[at] as OperationResult));
}

function agedResult(aged: OperationResult, fresh: OperationResult): OperationResult {
  return {
    ...aged,
    name: `${aged.name}-aged`,
    floorP50Ms: fresh.p50Ms,
    ratioP50: aged.p50Ms / fresh.p50Ms,
    floorCpuMs: fresh.cpuMs,
    extra: { cpuRatio: (aged.cpuMs ?? Number.NaN) / (fresh.cpuMs ?? Number.NaN) },
  };
}
