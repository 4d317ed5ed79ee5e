/** client-device: what a device on SQLite costs without its network, beside bare SQLite. */
import { measureDevice } from '@sync/client/testing/measure-device';
import { type OperationResult, result } from './result.ts';

const ENTITIES = 50_000;
const MUTATIONS = 10_000;
const ROUNDS = 3;

/** @param isQuick a tenth of everything */
export async function measureClientDevice(isQuick: boolean): Promise<OperationResult[]> {
  const share = isQuick ? 0.1 : 1;
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push(await measureDevice(ENTITIES * share, MUTATIONS * share));
  }
  const samplesOf = (latenciesMs: readonly number[]) => ({
    latenciesMs: [...latenciesMs],
    tookMs: latenciesMs.reduce((sum, one) => sum + one, 0),
  });
  const floor = samplesOf(rounds.map(({ floorMs }) => floorMs));
  const middle = (figures: number[]): number => figures.sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN;
  const extra = {
    cpuPerMutationMs: middle(rounds.map(({ cpuPerMutationMs }) => cpuPerMutationMs)),
    heapMibPer10k: middle(rounds.map(({ heapBytesPer10k }) => heapBytesPer10k)) / 2 ** 20,
  };
  return [
    result('device-first-sync-50k', 1, samplesOf(rounds.map(({ firstSyncMs }) => firstSyncMs)), floor, extra),
    result('device-cold-start-50k', 1, samplesOf(rounds.map(({ coldStartMs }) => coldStartMs)), floor),
    result('device-write-visible', 1, samplesOf(rounds.flatMap(({ visibleMs }) => visibleMs)), floor),
  ];
}
