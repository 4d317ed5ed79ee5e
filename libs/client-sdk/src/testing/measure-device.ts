import type { PullResponse, RemoteDelta } from '@sync/protocol';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../clock/clock.ts';
import { LocalState } from '../local/local-state.ts';
import { storePull, storePush } from '../local/store-answers.ts';
import { WriteQueue } from '../local/write-queue.ts';
import type { DeviceKey } from '../net/transport.ts';
import { importDeviceKey, webCryptoKey } from '../net/webcrypto-key.ts';
import { nextBatch } from '../outbox/next-batch.ts';
import { openSqliteStore } from '../storage/sqlite/sqlite-store.ts';
import { measureSqlite } from './measure-sqlite.ts';
import { NodeSqliteDriver } from './sqlite/node-sqlite-driver.ts';

const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'device' };
const SCOPE = 'user:u';
const NOW = '2026-01-01T00:00:00.000Z';
const BATCH = 500;

/** Milliseconds, and bytes where the name says so. */
export interface DeviceTimes {
  /** All pages of a first sync, stored and in the digest. */
  readonly firstSyncMs: number;
  readonly floorMs: number;
  /** From opening the store until all entities of the type can be listed. */
  readonly coldStartMs: number;
  /** From `write` until the app sees it, each of a hundred writes with all entities held. */
  readonly visibleMs: readonly number[];
  /** CPU of this process for each mutation: written, tagged, stored, batched, and its outcome stored. */
  readonly cpuPerMutationMs: number;
  readonly heapBytesPer10k: number;
}

/** A device on SQLite with so many entities, and then with so many queued mutations; nothing is sent. */
export async function measureDevice(entities: number, mutations: number): Promise<DeviceTimes> {
  const { floor } = await measureSqlite(entities, BATCH);
  const folder = await mkdtemp(join(tmpdir(), 'sync-bench-device-'));
  try {
    const key = await webCryptoKey(await importDeviceKey(new Uint8Array(32)), IDENTITY);
    const file = join(folder, 'device.db');
    const firstSyncMs = await firstSync(file, entities);
    const heapBefore = heapBytes();
    const startedMs = performance.now();
    const local = await open(file);
    await local.load('note');
    const held = local.mirror.list('note').length;
    const coldStartMs = performance.now() - startedMs;
    if (held !== entities) throw new Error(`${held} of ${entities} entities are there`);
    const heapBytesPer10k = ((heapBytes() - heapBefore) / entities) * 10_000;
    const visibleMs = await measureVisible(local, key);
    const cpuPerMutationMs = await measureMutations(local, key, mutations);
    await local.store.close();
    return {
      firstSyncMs,
      floorMs: floor.writtenMs,
      coldStartMs,
      visibleMs,
      cpuPerMutationMs,
      heapBytesPer10k,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function open(file: string): Promise<LocalState> {
  const driver = new NodeSqliteDriver(file);
  const store = await openSqliteStore({ driver, close: () => driver.database.close() });
  const local = new LocalState(store, IDENTITY);
  await local.open();
  await local.lead();
  return local;
}

/** Pages come as text, as they do from the network. */
async function firstSync(file: string, entities: number): Promise<number> {
  const pages = Array.from({ length: Math.ceil(entities / BATCH) }, (_each, at) => {
    const deltas = Array.from({ length: Math.min(BATCH, entities - at * BATCH) }, (_delta, n) =>
      deltaOf(at * BATCH + n),
    );
    const hasMore = (at + 1) * BATCH < entities;
    return JSON.stringify(answerOf({ scope: SCOPE, reset: at === 0, deltas, cursor: String(at), hasMore }));
  });
  const local = await open(file);
  const startedMs = performance.now();
  for (const [at, text] of pages.entries()) {
    const cursor = at === 0 ? null : String(at - 1);
    await storePull(local, [{ scope: SCOPE, cursor }], JSON.parse(text) as PullResponse, NOW);
  }
  const tookMs = performance.now() - startedMs;
  await local.store.close();
  return tookMs;
}

async function measureVisible(local: LocalState, key: DeviceKey): Promise<number[]> {
  const writes = new WriteQueue(local, key);
  const samples: number[] = [];
  for (let n = 0; n < 100; n += 1) {
    const startedMs = performance.now();
    const stored = writes.write(draftOf(idOf(n), `written ${n}`));
    const seen = local.mirror.get('note', idOf(n));
    samples.push(performance.now() - startedMs);
    if (seen?.data['text'] !== `written ${n}`) throw new Error('a write is not seen');
    await stored;
  }
  return samples;
}

async function measureMutations(local: LocalState, key: DeviceKey, mutations: number): Promise<number> {
  const writes = new WriteQueue(local, key);
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: mutations }, (_each, n) => writes.write(draftOf(`new-${n}`, `note ${n}`))),
  );
  for (;;) {
    const batch = nextBatch(local.mirror.outbox.queued(), { mutations: BATCH, length: 1_000_000 });
    if (batch.length === 0) break;
    const body = JSON.stringify({ mutations: batch });
    if (body.length === 0) throw new Error('nothing to send');
    const outcomes = batch.map(({ mutationId }) => ({
      mutationId,
      status: 'applied' as const,
      clock: { 'd:device': 1 },
    }));
    await storePush(local, { serverTime: NOW, outcomes }, NOW);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / mutations;
}

function answerOf(page: PullResponse['scopes'][number]): PullResponse {
  return { serverTime: NOW, scopes: [page], revoked: [], outcomes: [], directives: [] };
}

function deltaOf(n: number): RemoteDelta {
  const text = `note ${n}, a line or two of text `.repeat(6);
  const data = { userId: `user-${n % 50}`, text, colour: 'white' };
  const clock = { 'd:0193e6c0-7a10-7000-8000-00000000000a': n + 1, 's:learning': 3 };
  const fields = { entityType: 'note', entityId: idOf(n), clock, schemaVersion: 1, committedAt: NOW };
  return { ...fields, op: 'put', data };
}

function draftOf(entityId: string, text: string) {
  const mutationId = crypto.randomUUID();
  const occurredAt = new Date(systemClock.now()).toISOString();
  const fields = { mutationId, scope: SCOPE, entityType: 'note', entityId, occurredAt, schemaVersion: 1 };
  return { ...fields, op: 'put' as const, data: { userId: 'u', text, colour: 'white' } };
}

function idOf(n: number): string {
  return `0193e6c0-7a10-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
