import { pino } from 'pino';
import type { TestOwner } from '../testing/test-owner.ts';
import { mutationOf, newAuthor, startPushRig, type PushRig } from '../testing/push-rig.ts';

/** Lines of the log. */
const said: string[] = [];
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ logger: pino({}, { write: (line: string) => void said.push(line) }) });
});
afterAll(() => rig.stop());
afterEach(() => {
  rig.owner.tells = 'clocks';
  rig.owner.projectsAtOnce = true;
});

const HOUR_MS = 3_600_000;

/** What was counted since, by what is missing. */
async function counted(act: () => Promise<void>): Promise<object> {
  rig.metrics.unattributed.reset();
  await act();
  const { values } = await rig.metrics.unattributed.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels['missing']), value]));
}

/** A device makes an entity and changes it, an hour ago; then it changes it once more. */
async function writeThrice(author = newAuthor()): Promise<void> {
  const entityId = `watched-${author.deviceId}`;
  const occurredAt = new Date(Date.now() - HOUR_MS).toISOString();
  const seen = (counter: number) => ({ [`d:${author.deviceId}`]: counter });
  const put = { entityId, data: { userId: author.userId, text: 'one', percent: 1 }, occurredAt };
  const patch = { entityId, op: 'patch' as const, data: { text: 'one' }, occurredAt };
  await rig.push(author, [mutationOf(author, put)]);
  await rig.push(author, [mutationOf(author, { ...patch, baseClock: seen(1) })]);
  const other = { ...patch, data: { text: 'two' }, baseClock: seen(2) };
  await rig.push(author, [mutationOf(author, other)]);
}

describe('an owner without clocks', () => {
  it.each<[TestOwner['tells'], object]>([
    ['all', {}],
    ['clocks', {}],
    ['no device', { device: 1 }],
    // The second write then is older than what the first one is taken for, so nothing of it is stored.
    ['no time', { time: 1, writes: 1 }],
    ['no writes', { writes: 1 }],
  ])('that tells %s of a mutation', async (tells, expected) => {
    rig.owner.tells = tells;
    expect(await counted(writeThrice)).toEqual(expected);
  });

  it('is named in the log the third time, once', async () => {
    rig.owner.tells = 'no device';
    said.length = 0;
    for (let times = 1; times <= 5; times += 1) await writeThrice();
    const lines = said.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ event, missing }) => [event, missing])).toEqual([['change_unattributed', 'device']]);
  });

  it('is not counted where nobody can tell yet', async () => {
    rig.owner.tells = 'no device';
    rig.owner.projectsAtOnce = false;
    expect(await counted(writeThrice)).toEqual({});
    await rig.owner.projectAll();
  });
});
