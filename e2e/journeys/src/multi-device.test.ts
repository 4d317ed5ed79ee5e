import { randomUUID } from 'node:crypto';
import type { Write } from '@sync/client';
import { type LearnerDevice, type StackLine, bindLearnerDevice, changeOnServer } from '@sync/e2e-device';
import { eventually } from './testing/eventually.ts';

const MINUTE_MS = 60_000;
const WEEK_MS = 7 * 24 * 60 * MINUTE_MS;
const ROUNDS = 5;

describe('J-20 several devices of one learner', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  let userId: string;
  let devices: LearnerDevice[] = [];

  beforeEach(() => {
    userId = `u-${randomUUID().slice(0, 8)}`;
  });
  afterEach(() => Promise.all(devices.map((device) => device.close())));

  const bind = async (count: number): Promise<LearnerDevice[]> => {
    const binding = Array.from({ length: count }, () => bindLearnerDevice(urls, tenantId, userId));
    devices = await Promise.all(binding);
    return devices;
  };

  /** Nothing waits on any device, and all hold the same entities, which are those of the server. */
  async function converge(entities: number): Promise<void> {
    await eventually('the devices agree with the server', async () => {
      const states = await Promise.all(devices.map((device) => device.settledState()));
      const counts = await Promise.all(devices.map(countOf));
      return states[0] !== null && new Set(states).size === 1 && counts.every((count) => count === entities);
    });
  }

  it('lets four devices write the same entities at once and end equal, with every loser recorded', async () => {
    await bind(4);
    const [first] = devices as [LearnerDevice];
    const progressIds = ['a', 'b', 'c'].map((name) => `p-${name}-${userId}`);
    for (const id of progressIds) {
      const data = { userId, courseId: 'c', percent: 0, status: 'in_progress' };
      await first.client.entity('progress').put(id, data);
    }
    await converge(3);
    const written: Write[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const [index, device] of devices.entries()) {
        device.client.forceOffline();
        // Who writes later is no matter of what a push takes: a device's time is corrected by that.
        device.clockOffsetMs = (index - devices.length) * MINUTE_MS;
        const data = index % 2 === 0 ? { percent: round * 10 + index } : { lastPage: `${round}-${index}` };
        for (const id of progressIds) written.push(await device.client.entity('progress').patch(id, data));
        device.clockOffsetMs = 0;
      }
      const [earliest, ...others] = devices as [LearnerDevice, ...LearnerDevice[]];
      for (const { client } of others) client.forceOffline(false);
      // What it wrote first comes last, and loses.
      if (round === ROUNDS) await endOf(written.slice(-others.length * progressIds.length));
      earliest.client.forceOffline(false);
      await endOf(written);
    }
    await converge(3);
    const statuses = written.map(({ outcome }) => outcome?.status);
    for (const status of statuses) expect(['applied', 'merged', 'superseded']).toContain(status);
    const superseded = statuses.filter((status) => status === 'superseded').length;
    expect(superseded).toBeGreaterThanOrEqual(progressIds.length);
    await eventually('each loser is recorded', async () => {
      return (await first.client.conflicts()).length >= superseded;
    });
  });

  it('takes a device back after seven days offline with its unsent work, while the server moved on', async () => {
    const [offline] = (await bind(2)) as [LearnerDevice];
    await eventually('the device is live', () => offline.client.status.state === 'live');
    offline.client.forceOffline();
    offline.clockOffsetMs = -WEEK_MS;
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const written = await Promise.all(
      ids.map((id) => offline.client.entity('statement').append(statement(id), { id })),
    );
    offline.clockOffsetMs = 0;
    for (let note = 0; note < 40; note += 1) {
      await changeOnServer(urls.learning, tenantId, 'note', `n-${note}-${userId}`, {
        userId,
        text: `note ${note}`,
      });
    }
    offline.client.forceOffline(false);
    await endOf(written);
    expect(written.map(({ outcome }) => outcome?.status)).toEqual(ids.map(() => 'applied'));
    await converge(90);
  });
});

/** `accepted` is a promise: under contention an outcome may follow in a later pull. */
async function endOf(written: readonly Write[]): Promise<void> {
  await eventually('each write has its end', () =>
    written.every(({ outcome }) => (outcome?.status ?? 'accepted') !== 'accepted'),
  );
}

async function countOf({ client }: LearnerDevice): Promise<number> {
  const sets = (['note', 'progress', 'statement'] as const).map((type) => client.entity(type).load());
  return (await Promise.all(sets)).reduce((count, set) => count + set.list().length, 0);
}

function statement(id: string): Record<string, unknown> {
  return {
    id,
    verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
    object: { objectType: 'Activity', id: 'https://courses.example/c/pages/1' },
    timestamp: new Date(Date.now() - WEEK_MS).toISOString(),
  };
}
