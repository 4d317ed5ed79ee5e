/** What a device does without its network, to be measured in Node and in browsers alike. */
import type { PullResponse, RemoteDelta } from '@sync/protocol';
import { LocalState } from '../local/local-state.ts';
import { storePull } from '../local/store-answers.ts';
import { WriteQueue } from '../local/write-queue.ts';
import type { DeviceKey } from '../net/transport.ts';
import type { Store } from '../storage/store.ts';

export const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'dev' };
export const SCOPE = 'user:u';
const NOW = '2026-01-01T00:00:00.000Z';
const PAGE = 1_000;
const WRITES = 100;

/** Milliseconds. */
export interface DeviceTimes {
  /** All pages of a first sync, stored and in the digest. */
  readonly firstSyncMs: number;
  /** From opening the store until all entities of the type are listed. */
  readonly coldStartMs: number;
  /** The floor of a cold start: the same pages read from the open store by bare calls, and parsed. */
  readonly readFloorMs: number;
  /** After that, until the data of each has been read. */
  readonly readAllMs: number;
  /** From `write` until the app sees it, each of a hundred writes with all entities held. */
  readonly visibleMs: readonly number[];
}

/** Where the device of a measurement stores what it has. */
export interface BenchPlace {
  /** A store in the same place each time, which is empty at first. */
  readonly open: () => Promise<Store>;
  /** Reads the texts of table `page` without the store, and parses them. @returns how long that took */
  readonly readBare: () => Promise<number>;
}

/** Called where nothing is measured. */
export interface Watch {
  /** The device of the first sync is gone. */
  readonly beforeStart?: () => void;
  /** All entities are held, and their data was read. */
  readonly afterStart?: () => void;
}

/**
 * A first sync of so many entities in pages of 500, a new start on what is stored, and writes.
 */
export async function measureDeviceWork(
  entities: number,
  { open, readBare }: BenchPlace,
  key: DeviceKey,
  watch: Watch = {},
): Promise<DeviceTimes> {
  const firstSyncMs = await measureFirstSync(await deviceOn(await open()), entities);
  const readFloorMs = await readBare();
  watch.beforeStart?.();
  const startedMs = performance.now();
  const local = await deviceOn(await open());
  await local.load('note');
  const held = local.mirror.list('note').length;
  const coldStartMs = performance.now() - startedMs;
  if (held !== entities) throw new Error(`${held} of ${entities} entities are there`);
  const readAllMs = await timeOf(async () => {
    for (const { data } of local.mirror.list('note')) if (!data['text']) throw new Error('no text');
  });
  watch.afterStart?.();
  const visibleMs = await measureVisible(local, key);
  await local.store.close();
  return { firstSyncMs, coldStartMs, readFloorMs, readAllMs, visibleMs };
}

async function measureFirstSync(local: LocalState, entities: number): Promise<number> {
  const texts = pageTexts(entities);
  const tookMs = await timeOf(async () => {
    for (const [at, text] of texts.entries()) {
      const cursor = at === 0 ? null : String(at - 1);
      await storePull(local, [{ scope: SCOPE, cursor }], JSON.parse(text) as PullResponse, NOW);
    }
  });
  await local.store.close();
  return tookMs;
}

async function measureVisible(local: LocalState, key: DeviceKey): Promise<number[]> {
  const writes = new WriteQueue(local, key);
  const samples: number[] = [];
  for (let n = 0; n < WRITES; n += 1) {
    const text = `written ${n}`;
    const startedMs = performance.now();
    const stored = writes.write({ ...draftOf(idOf(n)), data: { userId: 'u', text, colour: 'white' } });
    const seen = local.mirror.get('note', idOf(n));
    samples.push(performance.now() - startedMs);
    if (seen?.data['text'] !== text) throw new Error('a write is not seen');
    await stored;
  }
  return samples;
}

async function deviceOn(store: Store): Promise<LocalState> {
  const local = new LocalState(store, IDENTITY);
  await local.open();
  await local.lead();
  return local;
}

/** Answers of pulls as they come from the network: so many notes in pages of 1,000. */
export function pageTexts(entities: number): string[] {
  return Array.from({ length: Math.ceil(entities / PAGE) }, (_each, at) => {
    const size = Math.min(PAGE, entities - at * PAGE);
    const deltas = Array.from({ length: size }, (_delta, n) => deltaOf(at * PAGE + n));
    const hasMore = (at + 1) * PAGE < entities;
    const page = { scope: SCOPE, reset: at === 0, deltas, cursor: String(at), hasMore };
    return JSON.stringify({ serverTime: NOW, scopes: [page], revoked: [], outcomes: [], directives: [] });
  });
}

function deltaOf(n: number): RemoteDelta {
  const text = `note ${n}, a line or two of text `.repeat(6);
  const data = { userId: `user-${n % 50}`, text, colour: 'white' };
  const clock = { 'd:0193e6c0-7a10-7000-8000-00000000000a': n + 1, 's:learning': 3 };
  const fields = { entityType: 'note', entityId: idOf(n), clock, schemaVersion: 1, committedAt: NOW };
  return { ...fields, op: 'put', data };
}

function draftOf(entityId: string) {
  const fields = { mutationId: crypto.randomUUID(), scope: SCOPE, entityType: 'note', entityId };
  return { ...fields, op: 'put' as const, occurredAt: NOW, schemaVersion: 1 };
}

/** The id of a note in {@link pageTexts}. */
export function idOf(n: number): string {
  return `0193e6c0-7a10-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

export async function timeOf(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
