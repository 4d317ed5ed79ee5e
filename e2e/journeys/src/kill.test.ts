import { randomUUID } from 'node:crypto';
import { DriverDevice, type StackLine, bindDevice } from '@sync/e2e-device';
import type { LocalMutation, Outcome, PushResponse } from '@sync/protocol';

const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
/** Between writes: which one is later must not depend on what their pushes take. */
const MINUTE_MS = 60_000;
const tenantId = `t-${randomUUID().slice(0, 8)}`;

async function user(): Promise<{ device: DriverDevice; scope: string; userId: string }> {
  const userId = `u-${randomUUID().slice(0, 8)}`;
  return {
    device: new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId)),
    scope: `user:${userId}`,
    userId,
  };
}

/** Polls as a device does until what is looked for is there. */
async function syncUntil(device: DriverDevice, isThere: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 300 && !isThere(); attempt += 1) {
    await device.sync().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(isThere()).toBe(true);
}

/** Before any process is killed: the line of JSON names only the first process ids. */
describe('a conflict-resolver that does not answer', () => {
  it('keeps no conflict from its end, and has the record once it answers again', async () => {
    const { device, scope, userId } = await user();
    const other = new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId));
    const progress = { scope, entityType: 'progress', entityId: randomUUID() } as const;
    const data = { userId, courseId: 'c', percent: 10, status: 'in_progress' };
    device.write({ ...progress, op: 'put', data, agoMs: 3 * MINUTE_MS });
    await device.push();
    await syncUntil(other, () => other.replica(scope).entities.has(`progress/${progress.entityId}`));
    process.kill(urls.pids['resolver'] ?? 0, 'SIGSTOP');
    try {
      device.write({ ...progress, op: 'patch', data: { percent: 20 }, agoMs: 2 * MINUTE_MS });
      other.write({ ...progress, op: 'patch', data: { percent: 30 }, agoMs: MINUTE_MS });
      expect(await device.push()).toMatchObject([{ status: 'applied' }]);
      expect(await other.push()).toMatchObject([{ status: 'merged' }]);
    } finally {
      process.kill(urls.pids['resolver'] ?? 0, 'SIGCONT');
    }
    const isRecord = ({ entityType }: { readonly entityType: string }): boolean => entityType === 'conflict';
    await syncUntil(other, () => [...other.replica(scope).entities.values()].some(isRecord));
  });
});

/**
 * Real processes, really killed: the stack's supervisor starts them again. Each process dies once, because
 * the line of JSON names only the first process ids.
 */
describe('kill -9', () => {
  function killOnce(name: string): void {
    const pid = urls.pids[name];
    if (!pid) throw new Error(`the stack has no ${name}`);
    process.kill(pid, 'SIGKILL');
  }

  function writeStatements(device: DriverDevice, scope: string, count: number): LocalMutation[] {
    return Array.from({ length: count }, () => {
      const entityId = randomUUID();
      const data = {
        id: entityId,
        verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
        object: { objectType: 'Activity', id: 'https://courses.example/c/pages/1' },
      };
      return device.write({ scope, entityType: 'statement', entityId, op: 'append', data });
    });
  }

  /** Sends until it is answered, as a device does: a broken connection says nothing about what happened. */
  async function pushUntilAnswered(
    device: DriverDevice,
    mutations: readonly LocalMutation[],
  ): Promise<readonly Outcome[]> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const answer = await device
        .send<PushResponse>('/sync/v1/push', { sentAt: new Date().toISOString(), mutations })
        .catch(() => null);
      if (answer?.status === 200) return answer.body.outcomes;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the push was never answered');
  }

  /** Pulls until every mutation is terminal and its entity has arrived. */
  async function settle(
    device: DriverDevice,
    scope: string,
    mutations: readonly LocalMutation[],
  ): Promise<void> {
    const done = (): boolean =>
      mutations.every(
        ({ mutationId, entityId }) =>
          device.outcomes.get(mutationId)?.status === 'applied' &&
          device.replica(scope).entities.has(`statement/${entityId}`),
      );
    for (let attempt = 0; attempt < 300 && !done(); attempt += 1) {
      await device.sync().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const open = mutations.filter(
      ({ mutationId }) => device.outcomes.get(mutationId)?.status !== 'applied',
    ).length;
    const missing = mutations.filter(
      ({ entityId }) => !device.replica(scope).entities.has(`statement/${entityId}`),
    ).length;
    expect([open, missing]).toEqual([0, 0]);
    expect(device.replica(scope).digest).toEqual(device.replica(scope).serverDigest);
    expect(device.replica(scope).log.length).toBe(mutations.length);
  }

  /** What comes after needs the process, too: this scenario may be over before it is back. */
  async function untilBack(url: string): Promise<void> {
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const answer = await fetch(`${url}/health/ready`).catch(() => null);
      if (answer?.status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${url} did not come back`);
  }

  it.each(['learning', 'projector', 'gateway', 'resolver'] as const)(
    'of the %s in the middle of pushes loses nothing and applies nothing twice',
    async (victim) => {
      const { device, scope } = await user();
      await device.sync();
      const batches = Array.from({ length: 12 }, () => writeStatements(device, scope, 25));
      device.outbox.length = 0;
      let answered = 0;
      const pushing = batches.map(async (batch, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 30));
        const outcomes = await pushUntilAnswered(device, batch);
        for (const outcome of outcomes) device.outcomes.set(outcome.mutationId, outcome);
        answered += outcomes.length;
      });
      setTimeout(() => killOnce(victim), 120);
      await Promise.all(pushing);
      expect(answered).toBe(300);
      await settle(device, scope, batches.flat());
      await untilBack(urls.opsUrls[victim] ?? '');
    },
  );
});
