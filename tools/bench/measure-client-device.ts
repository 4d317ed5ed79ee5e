/** client-device: what a device costs without its network, on SQLite and in a browser. */
import { join, resolve } from 'node:path';
import { startBrowserRig } from '@sync/browser/testing';
import { type SqliteDeviceTimes, measureDevice } from '@sync/client/testing/measure-device';
import { type OperationResult, result } from './result.ts';

const ENTITIES = 50_000;
const MUTATIONS = 10_000;
const ROUNDS = 3;
const PAGE = 'libs/client-sdk/src/storage/indexeddb/testing/page.ts';

type BrowserTimes = Pick<
  SqliteDeviceTimes,
  'firstSyncMs' | 'floorMs' | 'coldStartMs' | 'readFloorMs' | 'readAllMs' | 'visibleMs'
>;

/** @param isQuick a tenth of everything */
export async function measureClientDevice(isQuick: boolean): Promise<OperationResult[]> {
  const share = isQuick ? 0.1 : 1;
  const rounds: SqliteDeviceTimes[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push(await measureDevice(ENTITIES * share, MUTATIONS * share));
  }
  const extra = {
    heapMibPer10k: middle(rounds.map(({ heapBytesPer10k }) => heapBytesPer10k)) / 2 ** 20,
    cpuPerMutationMs: middle(rounds.map(({ cpuPerMutationMs }) => cpuPerMutationMs)),
  };
  const drained = samplesOf(rounds.map(({ drainMs }) => drainMs));
  return [
    ...operationsOf('device', rounds, extra),
    // Its floor is the same as that of the others: so many rows of bare SQLite.
    result('device-queue-10k', 1, drained, floorOf(rounds), extra),
    ...operationsOf('browser-device', await inBrowser(ENTITIES * share)),
  ];
}

async function inBrowser(entities: number): Promise<BrowserTimes[]> {
  const rig = await startBrowserRig(join(resolve(import.meta.dirname, '../..'), PAGE));
  try {
    const rounds: BrowserTimes[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const page = await rig.openPage(await rig.browser.newContext());
      rounds.push(await page.evaluate<BrowserTimes>(`storage.benchmarkDevice(${entities})`));
      await page.context().close();
    }
    return rounds;
  } finally {
    await rig.close();
  }
}

function operationsOf(
  name: string,
  rounds: readonly BrowserTimes[],
  extra: Readonly<Record<string, number>> = {},
): OperationResult[] {
  const readAllMs = middle(rounds.map((round) => round.readAllMs));
  const [firstSync, coldStart] = [
    rounds.map((each) => each.firstSyncMs),
    rounds.map((each) => each.coldStartMs),
  ];
  const readFloor = samplesOf(rounds.map(({ readFloorMs }) => readFloorMs));
  const visible = rounds.flatMap(({ visibleMs }) => visibleMs);
  return [
    result(`${name}-first-sync-50k`, 1, samplesOf(firstSync), floorOf(rounds), extra),
    result(`${name}-cold-start-50k`, 1, samplesOf(coldStart), readFloor, { readAllMs }),
    result(`${name}-write-visible`, 1, samplesOf(visible), floorOf(rounds)),
  ];
}

function floorOf(rounds: readonly BrowserTimes[]) {
  return samplesOf(rounds.map(({ floorMs }) => floorMs));
}

function samplesOf(latenciesMs: readonly number[]) {
  return { latenciesMs: [...latenciesMs], tookMs: latenciesMs.reduce((sum, one) => sum + one, 0) };
}

function middle(figures: number[]): number {
  return figures.sort((a, b) => a - b)[figures.length >> 1] ?? NaN;
}
