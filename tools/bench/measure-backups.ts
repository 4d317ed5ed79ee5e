/**
 * doc-backups: what going back costs in the owning service's database, by the sizes that Postgres itself
 * gives.
 */
import { randomUUID } from 'node:crypto';
import { SeededRandom } from '@sync/documents/testing';
import type { Outcome, PullResponse, PushResponse } from '@sync/protocol';
import { type VectorClock, mergeClocks } from '@sync/vector-clock';
import * as Y from 'yjs';
import type { KeepAliveClient } from './keep-alive-client.ts';
import { typeEdits } from './measure-documents.ts';
import { type OperationResult, result } from './result.ts';
import { type BenchDevice, TENANT, type World, bindBenchDevices, floorRequest } from './world.ts';

const EDITS_PER_PUSH = 100;

/** One side of the document: a device that types, and the clock of everything it has seen. */
interface Writer {
  readonly device: BenchDevice;
  readonly doc: Y.Doc;
  seen: VectorClock;
}

/**
 * Two devices of a user type into one document without each other, a hundred edits each, and then see each
 * other's: every second push merges concurrent edits and so leaves a pointer to what was before. The floor
 * stores the same bodies.
 */
export async function measureBackups(world: World): Promise<OperationResult> {
  const [scope, entityId, devices] = await sharedDocument(world);
  const before = await sizesOf(world);
  const writers = await Promise.all(devices.map((device) => writerOf(device, scope, entityId)));
  const random = new SeededRandom(20_261_123);
  const latenciesMs: number[] = [];
  const floorMs: number[] = [];
  const endOfCost = await world.meters.platform.begin();
  const beganMs = performance.now();
  for (let round = 0; round < world.sizes.backupRounds; round += 1) {
    const written = writers.map(({ doc }) => typeEdits(doc, EDITS_PER_PUSH, random));
    for (const [index, writer] of writers.entries()) {
      const body = mergesOf(writer, scope, entityId, written[index] ?? []);
      latenciesMs.push(await timed(() => pushMerges(writer, body)));
      floorMs.push(await timed(() => floorPush(world, writer.device.http, body)));
    }
    exchange(writers, written.flat());
  }
  const tookMs = performance.now() - beganMs;
  const samples = { latenciesMs, tookMs, cost: await endOfCost() };
  const floor = { latenciesMs: floorMs, tookMs: 0 };
  for (const { device } of writers) device.http.close();
  const after = await sizesOf(world);
  const grown = after.map((bytes, table) => bytes - (before[table] ?? 0));
  const [document = 0, log = 0, clients = 0, bases = 0, pointers = 0] = grown;
  return result('doc-backups', 2, samples, floor, {
    edits: world.sizes.backupRounds * writers.length * EDITS_PER_PUSH,
    logKib: log / 1024,
    baseKib: bases / 1024,
    pointerKib: pointers / 1024,
    documentKib: (document + clients) / 1024,
    overheadPercent: (100 * (bases + pointers)) / log,
  });
}

const TABLES = [
  'sync_document',
  'sync_document_update',
  'sync_document_client',
  'sync_document_base',
  'sync_document_backup',
];

/**
 * Bytes of each table with its indexes and its TOAST. All but the first only ever grow here, so nothing needs
 * to be vacuumed before.
 */
async function sizesOf({ observer }: World): Promise<number[]> {
  const rows = await observer.query<{ bytes: string }>(
    'authoring',
    `SELECT pg_total_relation_size(name::regclass) AS bytes FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) ORDER BY n`,
    [TABLES],
  );
  return rows.map(({ bytes }) => Number(bytes));
}

async function sharedDocument(world: World): Promise<[string, string, BenchDevice[]]> {
  const userId = `user-${randomUUID().slice(0, 12)}`;
  const courseId = `c-${randomUUID().slice(0, 8)}`;
  const entityId = randomUUID();
  const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
  await change(world.urls.learning, 'enrollment', randomUUID(), enrollment);
  await change(world.urls.authoring, 'document', entityId, { courseId, title: 'Bearings', text: '' });
  return [`course:${courseId}`, entityId, await bindBenchDevices(world, 2, userId)];
}

async function change(service: string, entityType: string, entityId: string, data: object): Promise<void> {
  const response = await fetch(`${service}/dev/tenants/${TENANT}/entities/${entityType}/${entityId}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data }),
  });
  if (!response.ok) throw new Error(`${entityType} answered ${response.status}: ${await response.text()}`);
}

const PULLS = 300;

/** Pulls until the device has the document. */
async function writerOf(device: BenchDevice, scope: string, entityId: string): Promise<Writer> {
  for (let pull = 0; pull < PULLS; pull += 1) {
    const { scopes } = await device.call<PullResponse>('/sync/v1/pull', {
      scopes: [{ scope, cursor: null }],
    });
    const delta = scopes[0]?.deltas.find((one) => one.entityId === entityId);
    if (delta) {
      const doc = new Y.Doc();
      if (delta.update) Y.applyUpdate(doc, Buffer.from(delta.update, 'base64'));
      return { device, doc, seen: delta.clock };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${scope} never brought the document`);
}

function mergesOf(
  { device, seen }: Writer,
  scope: string,
  entityId: string,
  updates: readonly Uint8Array[],
): object {
  const now = new Date().toISOString();
  const own = `d:${device.credentials.deviceId}`;
  const mutations = updates.map((update, index) => ({
    mutationId: randomUUID(),
    sequence: device.nextSequence(),
    scope,
    entityType: 'document',
    entityId,
    op: 'merge',
    update: Buffer.from(update).toString('base64'),
    baseClock: index === 0 ? seen : { ...seen, [own]: (seen[own] ?? 0) + index },
    occurredAt: now,
    schemaVersion: 1,
  }));
  return { sentAt: now, mutations: mutations.map((mutation) => device.tag(mutation)) };
}

async function pushMerges(writer: Writer, body: object): Promise<void> {
  const { outcomes } = await writer.device.call<PushResponse>('/sync/v1/push', body);
  for (const outcome of outcomes) writer.seen = mergeClocks(writer.seen, clockOf(outcome));
}

/** @throws when it was not taken: a refused push would be a small log */
function clockOf(outcome: Outcome): VectorClock {
  const { status, clock } = outcome;
  if ((status !== 'applied' && status !== 'merged') || !clock)
    throw new Error(`an edit was not applied: ${JSON.stringify(outcome)}`);
  return clock;
}

async function floorPush(world: World, http: KeepAliveClient, body: object): Promise<void> {
  await http.send(floorRequest(world, '/push', JSON.stringify(body)));
}

/** Both have everything now. */
function exchange(writers: readonly Writer[], updates: readonly Uint8Array[]): void {
  const seen = writers.map((writer) => writer.seen).reduce(mergeClocks);
  const merged = Y.mergeUpdates([...updates]);
  for (const writer of writers) {
    Y.applyUpdate(writer.doc, merged, 'sync');
    writer.seen = seen;
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
