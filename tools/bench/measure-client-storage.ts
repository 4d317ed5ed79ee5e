/** client-storage: 50,000 rows into a device's storage in batches of 500, and all of them listed. */
import { join, resolve } from 'node:path';
import { startBrowserRig } from '@sync/browser/testing';
import { measureSqlite } from '@sync/client/testing/measure-sqlite';
import { type OperationResult, result } from './result.ts';

const ROWS = 50_000;
const BATCH = 500;
const ROUNDS = 3;
const PAGE = 'libs/client-sdk/src/storage/indexeddb/testing/page.ts';

interface Times {
  readonly writtenMs: number;
  readonly listedMs: number;
}
type Round = { readonly floor: Times; readonly store: Times };

/** @param isQuick a tenth of the rows */
export async function measureClientStorage(isQuick: boolean): Promise<OperationResult[]> {
  const rows = isQuick ? ROWS / 10 : ROWS;
  const rig = await startBrowserRig(join(resolve(import.meta.dirname, '../..'), PAGE));
  try {
    const page = await rig.openPage(await rig.browser.newContext());
    const inBrowser = () => page.evaluate<Round>(`storage.benchmark(${rows}, ${BATCH})`);
    return [
      ...(await operationsOf('sqlite', () => measureSqlite(rows, BATCH))),
      ...(await operationsOf('indexeddb', inBrowser)),
    ];
  } finally {
    await rig.close();
  }
}

async function operationsOf(name: string, measure: () => Promise<Round>): Promise<OperationResult[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure());
  const samplesOf = (latenciesMs: number[]) => ({
    latenciesMs,
    tookMs: latenciesMs.reduce((sum, one) => sum + one, 0),
  });
  const operation = (what: string, time: keyof Times): OperationResult =>
    result(
      `${name}-${what}-50k`,
      1,
      samplesOf(rounds.map(({ store }) => store[time])),
      samplesOf(rounds.map(({ floor }) => floor[time])),
    );
  return [operation('write', 'writtenMs'), operation('list', 'listedMs')];
}
