/**
 * client-peers: what RxDB and TanStack DB with its own offline packages do beside `@sync/client`, on the same
 * work, in Node and in Chromium. The floor is the same work by bare `node:sqlite` or `idb`.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Page, startBrowserRig } from '@sync/browser/testing';
import { bundledBytes } from './client-peers/bundled-bytes.ts';
import { TANSTACK, fetchTanstack } from './client-peers/packages.ts';
import type { WriteTimes } from './client-peers/work.ts';
import { type OperationResult, result } from './result.ts';

const HELD = 10_000;
const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = 'tools/bench/client-peers/in-browser/page.mjs';
const FOLDER = join(import.meta.dirname, 'client-peers');

/** How much is measured of each device. */
interface Sizes {
  /** Of the first sync and the cold start. */
  readonly entities: number;
  /** Of the writes, and of the memory. */
  readonly held: number;
  readonly writes: number;
  readonly rounds: number;
}

/** What one round has measured of one device. */
interface Round extends WriteTimes {
  readonly firstSyncMs: number;
  /** null where it stores nothing. */
  readonly coldStartMs: number | null;
  readonly heapBytes: number;
}

/** Runs one step of a device, each in a process or page of its own. */
interface Steps {
  sync(entities: number): Promise<number>;
  start(entities: number): Promise<number>;
  write(entities: number, writes: number): Promise<WriteTimes & { readonly heapBytes: number }>;
}

/** Calls `use` with the steps of a device that has an empty place to store in. */
type WithSteps = <T>(device: string, use: (steps: Steps) => Promise<T>) => Promise<T>;

/** A device, what bare storage it is compared with, and the modules of an app that has it in a browser. */
interface Peer {
  readonly name: string;
  readonly isStoring: boolean;
  readonly bundle: string | null;
}

const IN_NODE: readonly Peer[] = [
  { name: 'sync-sqlite', isStoring: true, bundle: null },
  { name: 'rxdb-memory', isStoring: false, bundle: null },
  { name: 'tanstack-sqlite', isStoring: true, bundle: null },
];
const IN_CHROMIUM: readonly Peer[] = [
  { name: 'sync-indexeddb', isStoring: true, bundle: 'sync-client.mjs' },
  { name: 'rxdb-dexie', isStoring: true, bundle: 'rxdb.mjs' },
  { name: 'tanstack-opfs', isStoring: true, bundle: 'tanstack.mjs' },
];

/** @param isQuick a tenth of everything, once */
export async function measureClientPeers(
  isQuick: boolean,
  note: (text: string) => void,
): Promise<OperationResult[]> {
  await fetchTanstack(note);
  const sizes: Sizes = isQuick
    ? { entities: 5_000, held: HELD / 10, writes: 50, rounds: 1 }
    : { entities: 50_000, held: HELD, writes: 200, rounds: 3 };
  const rig = await startBrowserRig(join(ROOT, PAGE), TANSTACK);
  try {
    const inChromium: WithSteps = (device, use) =>
      inFolder(async (folder) => {
        const context = await rig.openProfile(folder);
        const openPage = () => rig.openPage(context);
        return use(stepsInPages(device, openPage)).finally(() => context.close());
      });
    return [
      ...(await measureAll('bare-sqlite', IN_NODE, sizes, inProcesses)),
      ...(await measureAll('bare-indexeddb', IN_CHROMIUM, sizes, inChromium)),
    ];
  } finally {
    await rig.close();
  }
}

async function measureAll(
  floor: string,
  peers: readonly Peer[],
  sizes: Sizes,
  withSteps: WithSteps,
): Promise<OperationResult[]> {
  const all = [{ name: floor, isStoring: true, bundle: null }, ...peers];
  const rounds = new Map<string, Round[]>(all.map(({ name }) => [name, []]));
  // In turns: what else the machine does meets all of them.
  for (let round = 0; round < sizes.rounds; round += 1) {
    for (const peer of all) rounds.get(peer.name)?.push(await measureRound(peer, sizes, withSteps));
  }
  const floorRounds = rounds.get(floor) ?? [];
  const results = peers.map(async (peer) => {
    const bundle = peer.bundle === null ? null : join(FOLDER, 'in-browser', peer.bundle);
    const bytes = bundle === null ? null : await bundledBytes(bundle);
    return operationsOf(peer.name, rounds.get(peer.name) ?? [], floorRounds, sizes.held, bytes);
  });
  return (await Promise.all(results)).flat();
}

async function measureRound(peer: Peer, sizes: Sizes, withSteps: WithSteps): Promise<Round> {
  const started = await withSteps(peer.name, async (steps) => ({
    firstSyncMs: await steps.sync(sizes.entities),
    coldStartMs: peer.isStoring ? await steps.start(sizes.entities) : null,
  }));
  const written = await withSteps(peer.name, (steps) => steps.write(sizes.held, sizes.writes));
  return { ...started, ...written };
}

function operationsOf(
  name: string,
  rounds: readonly Round[],
  floor: readonly Round[],
  held: number,
  bytes: number | null,
): OperationResult[] {
  const heapPer10k = rounds.map(({ heapBytes }) => (heapBytes / held) * HELD).sort((a, b) => a - b);
  const extra = {
    heapMibPer10k: (heapPer10k[rounds.length >> 1] ?? NaN) / 2 ** 20,
    ...(bytes === null ? {} : { gzippedKb: bytes / 1_000 }),
  };
  const operation = (what: string, times: (round: Round) => readonly number[], beside?: typeof extra) => {
    const own = rounds.flatMap(times);
    if (own.length === 0) return [];
    return [result(`${name}-${what}`, 1, samplesOf(own), samplesOf(floor.flatMap(times)), beside)];
  };
  return [
    ...operation('first-sync-50k', ({ firstSyncMs }) => [firstSyncMs], extra),
    ...operation('cold-start-50k', ({ coldStartMs }) => (coldStartMs === null ? [] : [coldStartMs])),
    ...operation('visible-10k', ({ visibleMs }) => visibleMs),
    ...operation('durable-10k', ({ durableMs }) => durableMs),
  ];
}

const inProcesses: WithSteps = (device, use) =>
  inFolder((folder) => {
    const run = async <T>(step: string, ...given: readonly number[]): Promise<T> => {
      const main = join(FOLDER, 'main.ts');
      const args = [...process.execArgv, main, device, step, folder, ...given.map(String)];
      const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 });
      return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
    };
    return use({
      sync: (entities) => run('sync', entities),
      start: (entities) => run('start', entities),
      write: (entities, writes) => run('write', entities, writes),
    });
  });

function stepsInPages(device: string, openPage: () => Promise<Page>): Steps {
  const inPage = async <T>(use: (page: Page) => Promise<T>): Promise<T> => {
    const page = await openPage();
    return use(page).finally(() => page.close());
  };
  return {
    sync: (entities) => inPage((page) => page.evaluate<number>(`peers.sync('${device}', ${entities})`)),
    start: (entities) => inPage((page) => page.evaluate<number>(`peers.start('${device}', ${entities})`)),
    write: (entities, writes) =>
      inPage(async (page) => {
        const heapBefore = await heapOf(page);
        await page.evaluate(`peers.hold('${device}', ${entities})`);
        const heapBytes = (await heapOf(page)) - heapBefore;
        return { heapBytes, ...(await page.evaluate<WriteTimes>(`peers.write(${writes})`)) };
      }),
  };
}

/** Without what workers and the browser hold for the page. */
async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize;
}

async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sync-bench-peers-'));
  return use(folder).finally(() => rm(folder, { recursive: true, force: true }));
}

function samplesOf(latenciesMs: readonly number[]) {
  return { latenciesMs, tookMs: latenciesMs.reduce((sum, one) => sum + one, 0) };
}
