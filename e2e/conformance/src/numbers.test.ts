import { randomUUID } from 'node:crypto';
import { type DriverDevice, signRequest } from '@sync/e2e-device';
import type { ConflictRecord, LocalMutation, Outcome, PushResponse } from '@sync/protocol';
import { anotherDevice, boundUser, entityOf, fresh, platform, pullUntil } from './kit/platform.ts';

/**
 * The body as it is written here, for numbers that JavaScript would write in another way. @returns the
 * answer's text
 */
async function post(device: DriverDevice, path: string, text: string): Promise<string> {
  const url = new URL(path, platform().gateway);
  const body = Buffer.from(text);
  const { headers } = signRequest(device.credentials, 'POST', url, body, Math.floor(Date.now() / 1000));
  const answer = await fetch(url, { method: 'POST', headers, body });
  expect(answer.status).toBe(200);
  return answer.text();
}

/** Pushes a new note whose `numbers` are this text. */
async function pushNumbers(
  { device, scope, userId }: Awaited<ReturnType<typeof boundUser>>,
  entityId: string,
  numbers: string,
): Promise<Outcome | undefined> {
  const mutation = { mutationId: randomUUID(), sequence: 1, scope, entityType: 'note', entityId, op: 'put' };
  const envelope = JSON.stringify({
    ...mutation,
    baseClock: {},
    occurredAt: new Date().toISOString(),
    data: 0,
  });
  const data = `{"userId":${JSON.stringify(userId)},"text":"measured","numbers":[${numbers}]}`;
  const sent = envelope.replace('"data":0', () => `"data":${data}`);
  const answer = await post(
    device,
    '/sync/v1/push',
    `{"sentAt":"${new Date().toISOString()}","mutations":[${sent}]}`,
  );
  return (JSON.parse(answer) as PushResponse).outcomes[0];
}

/** What became of a mutation that was pushed, now or a little later. */
async function endOf(device: DriverDevice, { mutationId }: LocalMutation): Promise<Outcome> {
  await pullUntil(device, () => device.outcomes.has(mutationId));
  return device.outcomes.get(mutationId) as Outcome;
}

const TINY = 5e-324;
/** As many as one mutation may carry: written out they would be 12 MB. */
const MANY = Array.from({ length: 37_000 }, () => TINY);

describe('numbers', () => {
  it('keep their value, written as short as it can be, and change nothing when something else changes', async () => {
    const user = await boundUser();
    const { device, scope } = user;
    const entityId = fresh('n');
    const sent = '5e-324,1.50E-300,-0.0,1.0,0.1,9007199254740991,123456789012345.678,1e-400';
    const kept = '5e-324,1.5e-300,0,1,0.1,9007199254740991,123456789012345.67,0';
    expect(await pushNumbers(user, entityId, sent)).toMatchObject({ status: 'applied' });
    const shown = (): Promise<string> =>
      post(device, '/sync/v1/pull', JSON.stringify({ scopes: [{ scope, cursor: null }] }));
    await pullUntil(device, () => entityOf(device, scope, 'note', entityId) !== undefined);
    expect(await shown()).toContain(`"numbers":[${kept}]`);
    device.write({ scope, entityType: 'note', entityId, op: 'patch', data: { colour: 'red' } });
    expect(await device.push()).toMatchObject([{ status: 'applied' }]);
    await pullUntil(device, () => entityOf(device, scope, 'note', entityId)?.data?.['colour'] === 'red');
    expect(await shown()).toContain(`"numbers":[${kept}]`);
  });

  it.each(['1e400', '-1e309', '9007199254740993', '1e300'])(
    'that no double holds are refused: %s',
    async (number) => {
      const outcome = await pushNumbers(await boundUser(), fresh('n'), `0,${number}`);
      expect(outcome).toMatchObject({ status: 'rejected', code: 'mutation_invalid' });
      expect(outcome?.message).toContain('/data/numbers/1');
    },
  );

  it('cost what they are long: notes full of the smallest are changed in one push', async () => {
    const { device, scope, userId } = await boundUser();
    // So many that 12 MB for each would be far too much, and so few that a busy machine has done them in time.
    const notes = Array.from({ length: 20 }, () => ({ scope, entityType: 'note', entityId: fresh('n') }));
    for (const note of notes) {
      device.write({ ...note, op: 'put', data: { userId, text: 'measured', numbers: MANY } });
      await device.push();
    }
    const writes = notes.map((note) => device.write({ ...note, op: 'patch', data: { colour: 'red' } }));
    await device.push();
    // A busy machine answers some of them later; written out, they would not be answered for minutes.
    const statuses: string[] = [];
    for (const write of writes) statuses.push((await endOf(device, write)).status);
    expect(statuses).toEqual(notes.map(() => 'applied'));
  }, 180_000);

  it('are in a ConflictRecord and in what is made of it as they were written', async () => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const other = await anotherDevice(user);
    const note = { scope, entityType: 'note', entityId: fresh('n') };
    const held = (one: DriverDevice): Record<string, unknown> | null | undefined =>
      entityOf(one, scope, 'note', note.entityId)?.data;
    device.write({ ...note, op: 'put', data: { userId, text: 'base' } });
    await device.push();
    await pullUntil(other, () => held(other) !== undefined);
    const [mine, yours] = [{ text: 'mine' }, { text: 'yours', numbers: [...MANY, 1.5e-300] }];
    device.write({ ...note, op: 'patch', data: mine });
    const late = other.write({ ...note, op: 'patch', data: yours });
    await device.push();
    await other.push();
    const { status, conflictId = '' } = await endOf(other, late);
    expect(status).toBe('conflict');
    const record = (): ConflictRecord | undefined =>
      entityOf(other, scope, 'conflict', conflictId)?.data as ConflictRecord | undefined;
    await pullUntil(other, () => record()?.status === 'open' && held(other)?.['text'] === 'mine');
    expect(record()?.theirs).toEqual(yours);
    const expectedClock = entityOf(other, scope, 'note', note.entityId)?.clock;
    const resolution = { kind: 'keep_client' };
    await other.call('/sync/v1/resolve-conflict', { conflictId, resolution, expectedClock });
    await pullUntil(other, () => record()?.status === 'resolved' && held(other)?.['text'] === 'yours');
    expect(held(other)).toEqual({ userId, ...yours });
  });
});
