import { randomUUID } from 'node:crypto';
import type { PullResponse } from '@sync/protocol';
import { TENANT, type BenchDevice, type World } from './world.ts';

const VERBS = ['experienced', 'completed', 'answered', 'attempted', 'passed'];

/** An xAPI statement of ordinary size (about 600 bytes of JSON). */
export function statementData(statementId: string, index: number): Record<string, unknown> {
  const verb = VERBS[index % VERBS.length] ?? 'experienced';
  return {
    id: statementId,
    verb: { id: `http://adlnet.gov/expapi/verbs/${verb}`, display: { 'en-US': verb } },
    object: {
      objectType: 'Activity',
      id: `https://courses.example/navigation/lesson-${index % 40}/page-${index % 17}`,
      definition: {
        name: { 'en-US': `Lesson ${index % 40}, page ${index % 17}` },
        description: {
          'en-US': 'How a bearing is taken, plotted and corrected for variation and deviation.',
        },
        type: 'http://adlnet.gov/expapi/activities/lesson',
      },
    },
    result: { duration: `PT${(index % 300) + 5}S`, completion: true, score: { scaled: (index % 100) / 100 } },
    timestamp: new Date().toISOString(),
  };
}

/** A push body of `count` appended statements. */
export function pushBody(device: BenchDevice, count: number): Record<string, unknown> {
  const now = new Date().toISOString();
  return {
    sentAt: now,
    mutations: Array.from({ length: count }, (_unused, index) => {
      const entityId = randomUUID();
      return device.tag({
        mutationId: randomUUID(),
        sequence: device.nextSequence(),
        scope: device.scope,
        entityType: 'statement',
        entityId,
        op: 'append',
        data: statementData(entityId, index),
        baseClock: {},
        occurredAt: now,
        schemaVersion: 1,
      });
    }),
  };
}

/** @throws unless every mutation of the push was applied: a refused push would be a fast push */
export function assertApplied(body: Buffer): void {
  const { outcomes } = JSON.parse(body.toString()) as { outcomes: { status: string }[] };
  const other = outcomes.find(({ status }) => status !== 'applied');
  if (other) throw new Error(`a mutation was not applied: ${JSON.stringify(other)}`);
}

/** Writes entities on the server side through the learning service's bulk endpoint. */
export async function writeOnServer(world: World, userId: string, count: number): Promise<void> {
  const pageSize = 1_000;
  for (let from = 0; from < count; from += pageSize) {
    const entities = Array.from({ length: Math.min(pageSize, count - from) }, (_unused, index) => {
      const entityId = randomUUID();
      return { entityId, data: { ...statementData(entityId, from + index), userId } };
    });
    const response = await fetch(`${world.urls.learning}/dev/tenants/${TENANT}/entities/statement`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ entities }),
    });
    if (!response.ok) throw new Error(`the bulk write answered ${response.status}: ${await response.text()}`);
  }
}

/** Pulls one page of the device's own scope. */
export function pullPage(device: BenchDevice, cursor: string | null, limit: number): Promise<PullResponse> {
  return device.call<PullResponse>('/sync/v1/pull', { scopes: [{ scope: device.scope, cursor }], limit });
}

/** Pulls everything; @returns the cursor at the head and how many entities are live there */
export async function pullToHead(
  device: BenchDevice,
): Promise<{ cursor: string; count: number; pages: number }> {
  let cursor: string | null = null;
  for (let pages = 1; ; pages += 1) {
    const answer: PullResponse = await pullPage(device, cursor, 1_000);
    const page = answer.scopes[0];
    if (!page) throw new Error(`${device.scope} is not in the answer`);
    cursor = page.cursor;
    if (!page.hasMore) return { cursor, count: page.digest?.count ?? 0, pages };
  }
}

/** Waits until a scope has `count` live entities, as its digest says. */
export async function waitForEntities(
  device: BenchDevice,
  count: number,
  limitMs = 120_000,
): Promise<number> {
  const startedMs = performance.now();
  let { cursor, count: live } = await pullToHead(device);
  while (live < count) {
    const tookMs = performance.now() - startedMs;
    if (tookMs > limitMs)
      throw new Error(`${device.scope} has ${live} of ${count} entities after ${tookMs.toFixed(0)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const page = (await pullPage(device, cursor, 1_000)).scopes[0];
    if (page) cursor = page.cursor;
    live = page?.digest?.count ?? live;
  }
  return performance.now() - startedMs;
}
