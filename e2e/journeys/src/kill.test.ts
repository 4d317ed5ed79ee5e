import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Write } from '@sync/client';
import { type LearnerDevice, type StackLine, bindLearnerDevice, checkRevisions } from '@sync/e2e-device';
import { eventually } from './testing/eventually.ts';

const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
/** Between writes: which one is later must not depend on what their pushes take. */
const MINUTE_MS = 60_000;
const tenantId = `t-${randomUUID().slice(0, 8)}`;
const newUser = (): string => `u-${randomUUID().slice(0, 8)}`;

/** Before any process is killed: the line of JSON names only the first process ids. */
describe('a conflict-resolver that does not answer', () => {
  it('keeps no conflict from its end, and has the record once it answers again', async () => {
    const userId = newUser();
    const device = await bindLearnerDevice(urls, tenantId, userId);
    const other = await bindLearnerDevice(urls, tenantId, userId);
    const id = randomUUID();
    const patchOffline = async (on: LearnerDevice, percent: number, agoMs: number): Promise<Write> => {
      on.client.forceOffline();
      on.clockOffsetMs = -agoMs;
      const write = await on.client.entity('progress').patch(id, { percent });
      on.clockOffsetMs = 0;
      return write;
    };
    const data = { userId, courseId: 'c', percent: 10, status: 'in_progress' };
    await (await device.client.entity('progress').put(id, data)).wait('seen');
    const theirs = await other.client.entity('progress').load();
    await eventually('the other device has it', () => theirs.get(id) !== null);
    process.kill(urls.pids['resolver'] ?? 0, 'SIGSTOP');
    try {
      const first = await patchOffline(device, 20, MINUTE_MS);
      const second = await patchOffline(other, 30, 0);
      device.client.forceOffline(false);
      expect(await first.wait('applied')).toMatchObject({ status: 'applied' });
      other.client.forceOffline(false);
      expect(await second.wait('applied')).toMatchObject({ status: 'merged' });
    } finally {
      process.kill(urls.pids['resolver'] ?? 0, 'SIGCONT');
    }
    await eventually('the record is there', async () => (await other.client.conflicts()).length > 0);
    await Promise.all([device.close(), other.close()]);
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

  function appendStatements({ client }: LearnerDevice, count: number): Promise<Write[]> {
    const appending = Array.from({ length: count }, () => {
      const id = randomUUID();
      const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
      const object = { objectType: 'Activity', id: 'https://courses.example/c/pages/1' };
      return client.entity('statement').append({ id, verb, object }, { id });
    });
    return Promise.all(appending);
  }

  it.each(['learning', 'projector', 'gateway', 'resolver'] as const)(
    'of the %s in the middle of pushes loses nothing and applies nothing twice',
    async (victim) => {
      const device = await bindLearnerDevice(urls, tenantId, newUser());
      const { client } = device;
      await eventually('the device is live', () => client.status.state === 'live');
      setTimeout(() => killOnce(victim), 120);
      const written: Write[] = [];
      for (let batch = 0; batch < 12; batch += 1) {
        written.push(...(await appendStatements(device, 25)));
        await sleep(30);
      }
      // What comes after needs the process, too.
      await eventually(`the ${victim} is back`, async () => {
        const answer = await fetch(`${urls.opsUrls[victim] ?? ''}/health/ready`).catch(() => null);
        return answer?.status === 200;
      });
      // Nobody has to wait for the end of its pause.
      client.networkChanged(true);
      await eventually('each write is seen', () => written.every(({ state }) => state.tier === 'seen'));
      await eventually('the server has the same', async () => (await device.settledState()) !== null);
      const shown = (await client.entity('statement').load()).list().map(({ id }) => id);
      expect(shown.sort()).toEqual(written.map(({ entityId }) => entityId).sort());
      await checkRevisions(urls, tenantId, new Map(written.map(({ entityId }) => [entityId, 1])));
      await device.close();
    },
  );
});
