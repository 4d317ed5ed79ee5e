import { randomUUID } from 'node:crypto';
import { DriverDevice, type StackLine, bindDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';

const WEEK_MS = 7 * 86_400_000;

describe('J-20 several devices of one learner', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  let userId: string;
  let scope: string;

  beforeEach(() => {
    userId = `u-${randomUUID().slice(0, 8)}`;
    scope = `user:${userId}`;
  });

  const bind = async (count: number): Promise<DriverDevice[]> =>
    Promise.all(
      Array.from(
        { length: count },
        async () => new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId)),
      ),
    );

  /**
   * Syncs all devices until they hold the same state, with every change that stood, and the server's digest
   * agrees with each.
   */
  async function converge(
    devices: readonly DriverDevice[],
    entities: number,
    written: readonly LocalMutation[],
  ): Promise<void> {
    const outcomeOf = ({ mutationId }: LocalMutation): Outcome | undefined =>
      devices.flatMap(({ outcomes }) => outcomes.get(mutationId) ?? [])[0];
    for (let attempt = 0; attempt < 200; attempt += 1) {
      for (const device of devices) await device.sync();
      const replicas = devices.map((device) => device.replica(scope));
      const hashes = new Set(
        replicas.flatMap((replica) => [replica.digest.hash, replica.serverDigest?.hash]),
      );
      const complete = replicas.every((replica) => {
        const arrived = written.every((mutation) => replica.shows(mutation, outcomeOf(mutation)));
        return arrived && countOf(replica) === entities;
      });
      if (hashes.size === 1 && complete) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(
      `no agreement: ${devices.map((device) => JSON.stringify(device.replica(scope).digest)).join(' ')}`,
    );
  }

  /** Syncs until the device has as many ConflictRecords: a record follows its outcome a moment later. */
  async function recordsOf(device: DriverDevice, expected: number): Promise<number> {
    for (let attempt = 0; ; attempt += 1) {
      await device.sync();
      const entities = [...device.replica(scope).entities.values()];
      const records = entities.filter(({ entityType }) => entityType === 'conflict').length;
      if (records >= expected || attempt >= 200) return records;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** `accepted` is a promise: under contention an outcome may follow in a later pull. */
  async function settle(devices: readonly DriverDevice[]): Promise<void> {
    const open = (): number =>
      devices.flatMap(({ outcomes }) => [...outcomes.values()]).filter(({ status }) => status === 'accepted')
        .length;
    for (let attempt = 0; attempt < 300 && open() > 0; attempt += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const device of devices) await device.sync();
    }
    expect(open()).toBe(0);
  }

  const countOf = (replica: ReturnType<DriverDevice['replica']>): number =>
    [...replica.entities.values()].filter(({ entityType }) => entityType !== 'conflict').length;

  it('lets four devices write the same entities at once and end equal, with every loser recorded', async () => {
    const devices = await bind(4);
    const first = devices[0] as DriverDevice;
    const progressIds = ['a', 'b', 'c'].map((name) => `p-${name}-${userId}`);
    for (const entityId of progressIds) {
      const data = { userId, courseId: 'c', percent: 0, status: 'in_progress' };
      first.write({ scope, entityType: 'progress', entityId, op: 'put', data });
    }
    const written = [...first.outbox];
    await first.push();
    await converge(devices, 3, written);
    for (let round = 1; round <= 5; round += 1) {
      for (const [index, device] of devices.entries()) {
        for (const entityId of progressIds) {
          const data = index % 2 === 0 ? { percent: round * 10 + index } : { lastPage: `${round}-${index}` };
          written.push(device.write({ scope, entityType: 'progress', entityId, op: 'patch', data }));
        }
      }
      await Promise.all(devices.map((device) => device.push()));
    }
    await settle(devices);
    await converge(devices, 3, written);
    const outcomes = devices.flatMap((device) => [...device.outcomes.values()]);
    expect(outcomes.length).toBe(3 + 4 * 5 * 3);
    for (const { status } of outcomes) expect(['applied', 'merged', 'superseded']).toContain(status);
    const superseded = outcomes.filter(({ status }) => status === 'superseded').length;
    expect(superseded).toBeGreaterThan(0);
    expect(await recordsOf(first, superseded)).toBeGreaterThanOrEqual(superseded);
  });

  it('takes a device back after seven days offline with its unsent work, while the server moved on', async () => {
    const [offline, online] = await bind(2);
    if (!offline || !online) throw new Error('two devices are needed');
    await offline.sync();
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const written = ids.map((entityId) => {
      const append = { scope, entityType: 'statement', entityId, op: 'append', agoMs: WEEK_MS } as const;
      return offline.write({ ...append, data: statement(entityId) });
    });
    for (let note = 0; note < 40; note += 1) {
      await changeOnServer(urls.learning, tenantId, 'note', `n-${note}-${userId}`, {
        userId,
        text: `note ${note}`,
      });
    }
    const outcomes = await offline.push();
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => 'applied'));
    await converge([offline, online], 90, written);
  });
});

function statement(id: string): Record<string, unknown> {
  return {
    id,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
    object: { objectType: 'Activity', id: 'https://courses.example/c/pages/1' },
    timestamp: new Date(Date.now() - WEEK_MS).toISOString(),
  };
}
