import { describe, expect, it } from '@jest/globals';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation, Outcome, PushResponse } from '@sync/protocol';
import {
  type Bound,
  anotherDevice,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
  send,
} from './kit/platform.ts';

/** A note in the outbox of its user’s device. */
function noteOf({ device, scope, userId }: Bound): LocalMutation {
  return device.write({
    scope,
    entityType: 'note',
    entityId: fresh('n'),
    op: 'put',
    data: { userId, text: 'written offline', colour: 'white' },
  });
}

/** Both the service and the gateway know of it afterwards. */
async function enrol({ tenantId, userId, device }: Bound, courseId: string): Promise<void> {
  const enrolment = { userId, courseId, status: 'active' };
  await changeOnServer(platform().learning, tenantId, 'enrollment', fresh('e'), enrolment);
  await pullUntil(device, () => device.scopes.has(`course:${courseId}`));
}

const REUSED = { status: 'rejected', code: 'mutation_id_reused' };

describe('a queue that a stranger’s session pushed', () => {
  it('is applied for its rightful owner, and each session goes on seeing its own outcome', async () => {
    const author = await boundUser();
    const stranger = await boundUser(author.tenantId);
    const [first, second] = [noteOf(author), noteOf(author)];
    const queue = [first, { ...second, dependsOn: [first.mutationId] }];
    const refused = await send(stranger.device, ...queue);
    expect(refused).toMatchObject([
      { status: 'rejected', code: 'scope_not_held' },
      { status: 'rejected', code: 'scope_not_held' },
    ]);
    expect(await send(stranger.device, ...queue)).toEqual(refused);
    const applied = await send(author.device, ...queue);
    expect(applied).toMatchObject([{ status: 'applied' }, { status: 'applied' }]);
    expect(await send(author.device, ...queue)).toEqual(applied);
    expect(await send(stranger.device, ...queue)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', current: { op: 'delete', clock: {}, data: null } },
      { status: 'rejected', code: 'scope_not_held', current: { op: 'delete', clock: {}, data: null } },
    ]);
    await pullUntil(author.device, () => {
      return entityOf(author.device, author.scope, 'note', second.entityId) !== undefined;
    });
  });

  it('is applied after its owning service has refused the stranger, too', async () => {
    const author = await boundUser();
    const stranger = await boundUser(author.tenantId);
    const courseId = fresh('c');
    for (const user of [author, stranger]) await enrol(user, courseId);
    const note = { ...noteOf(author), scope: `course:${courseId}` };
    expect(await send(stranger.device, note)).toMatchObject([{ status: 'rejected', code: 'forbidden' }]);
    expect(await send(author.device, note)).toMatchObject([{ status: 'applied' }]);
    const [again] = await send(stranger.device, note);
    expect(again).toMatchObject({ ...REUSED, current: { op: 'delete', clock: {}, data: null } });
    expect(JSON.stringify(again)).not.toContain('written offline');
  });

  it('is applied as it was mended, under the same ids', async () => {
    const author = await boundUser();
    const note = noteOf(author);
    expect(await send(author.device, { ...note, data: undefined })).toMatchObject([
      { code: 'mutation_invalid' },
    ]);
    expect(await send(author.device, note)).toMatchObject([{ status: 'applied' }]);
  });
});

/** What an honest retry may write in another way. */
const INNOCENT: [string, (note: LocalMutation) => Record<string, unknown>][] = [
  ['another sequence', (note) => ({ ...note, sequence: note.sequence + 100 })],
  ['its defaults left out', ({ schemaVersion: _one, dependsOn: _none, ...note }) => note],
  ['its defaults written out', (note) => ({ ...note, dependsOn: [], schemaVersion: 1, update: undefined })],
  ['the time in another zone', (note) => ({ ...note, occurredAt: inZone(note.occurredAt) })],
  ['another order of keys', (note) => Object.fromEntries(Object.entries(note).reverse())],
  ['zero entries in its clock', (note) => ({ ...note, baseClock: { ...note.baseClock, 'd:none': 0 } })],
  ['a clock that was built anew', (note) => ({ ...note, baseClock: { 's:learning': 1 } })],
  ['a migrated schemaVersion', (note) => ({ ...note, schemaVersion: 2, data: { body: 'lifted' } })],
];

function inZone(time: string): string {
  return new Date(Date.parse(time) + 3_600_000).toISOString().replace('Z', '+01:00');
}

describe('the same change', () => {
  it.each(INNOCENT)('has its first outcome with %s, from a new device of its user, too', async (_, write) => {
    const user = await boundUser();
    const note = noteOf(user);
    const first = await send(user.device, note);
    expect(first).toMatchObject([{ status: 'applied' }]);
    expect(await send(user.device, write(note))).toEqual(first);
    expect(await send(await anotherDevice(user), write(note))).toEqual(first);
  });

  it.each<[string, (note: LocalMutation) => Record<string, unknown>]>([
    ['of other data', (note) => ({ ...note, data: { ...note.data, text: 'another' } })],
    ['of another entity', (note) => ({ ...note, entityId: `${note.entityId}-b` })],
    ['of another op', (note) => ({ ...note, op: 'patch' })],
    ['of another moment', (note) => ({ ...note, occurredAt: '2026-01-01T00:00:00.001Z' })],
  ])('is not one %s: rejected, and the first stays', async (_what, changed) => {
    const user = await boundUser();
    const note = noteOf(user);
    const first = await send(user.device, note);
    expect(await send(user.device, changed(note))).toMatchObject([REUSED]);
    expect(await send(await anotherDevice(user), changed(note))).toMatchObject([REUSED]);
    expect(await send(user.device, note)).toEqual(first);
  });

  it('is nobody else’s: another user’s outcome is not told', async () => {
    const user = await boundUser();
    const other = await boundUser(user.tenantId);
    const note = noteOf(user);
    await send(user.device, note);
    const [outcome] = await send(other.device, { ...note, scope: other.scope });
    expect(outcome).toMatchObject({ ...REUSED, current: { op: 'delete', clock: {}, data: null } });
    expect(JSON.stringify(outcome)).not.toContain('written offline');
  });

  it('is one of two that come under one id at once: what is applied is what was told so', async () => {
    for (let round = 0; round < 8; round += 1) {
      const user = await boundUser();
      const other = await anotherDevice(user);
      const note = noteOf(user);
      const texts = ['of the first', 'of the second'];
      const outcomes = await Promise.all(
        [user.device, other].map((device, place) =>
          sendUntilAnswered(device, { ...note, data: { ...note.data, text: texts[place] } }),
        ),
      );
      const applied = outcomes.findIndex(({ status }) => status === 'applied');
      expect(outcomes[1 - applied]).toMatchObject(REUSED);
      const { device, scope } = user;
      await pullUntil(device, () => entityOf(device, scope, 'note', note.entityId) !== undefined);
      const stands = entityOf(device, scope, 'note', note.entityId)?.data;
      expect(stands).toMatchObject({ text: texts[applied] });
    }
  });
});

/** Sends again what the gateway cannot take at this moment, and asks again for what was only accepted. */
async function sendUntilAnswered(device: DriverDevice, mutation: LocalMutation): Promise<Outcome> {
  const body = { sentAt: new Date().toISOString(), mutations: [device.tag(mutation)] };
  for (;;) {
    const answer = await device.send<PushResponse>('/sync/v1/push', body);
    if (answer.status !== 503) expect(answer.status).toBe(200);
    const [outcome] = answer.status === 200 ? answer.body.outcomes : [];
    if (outcome && outcome.status !== 'accepted') return outcome;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
