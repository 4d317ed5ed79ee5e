import { randomUUID } from 'node:crypto';
import { type DriverDevice, type GatewayAnswer, adminToken, changeOnServer } from '@sync/e2e-device';
import type { ConflictRecord, ConflictsReply, RemoteDelta } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import {
  type Bound,
  anotherDevice,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
} from './kit/platform.ts';

/** An answer of the conflicts API: the record, a page, or a problem with what comes with it. */
interface ConflictAnswer extends Partial<ConflictsReply> {
  readonly conflict?: ConflictRecord;
  readonly code?: string;
  readonly ownerCode?: string;
  readonly current?: RemoteDelta;
  readonly errors?: readonly { readonly path: string }[];
}

const get = (device: DriverDevice, path: string): Promise<GatewayAnswer<ConflictAnswer>> =>
  device.send(`/sync/v1/conflicts${path}`, null, { method: 'GET' });

const resolve = (
  device: DriverDevice,
  conflictId: string,
  resolution: unknown,
  expectedClock: unknown,
): Promise<GatewayAnswer<ConflictAnswer>> =>
  device.send('/sync/v1/resolve-conflict', { conflictId, resolution, expectedClock });

interface Collision extends Bound {
  readonly other: DriverDevice;
  readonly noteId: string;
  readonly conflictId: string;
  /** The note's clock as both devices hold it: the server's value, `mine`. */
  readonly clock: VectorClock;
}

const recordOn = (device: DriverDevice, scope: string, conflictId: string): ConflictRecord | undefined =>
  entityOf(device, scope, 'conflict', conflictId)?.data as ConflictRecord | undefined;

/** Objects and lists in each other, `levels` of them. */
function nested(levels: number, inside: unknown = 'inside'): unknown {
  if (levels === 0) return inside;
  return levels % 2 === 0 ? { in: nested(levels - 1, inside) } : [nested(levels - 1, inside)];
}

/**
 * Both devices of a user changed the text of a note; `device` came first, the mutation of `other` is held for
 * a person.
 */
async function collision(theirs: Record<string, unknown> = { text: 'yours' }): Promise<Collision> {
  const user = await boundUser();
  const { device, scope, userId } = user;
  const other = await anotherDevice(user);
  const noteId = fresh('n');
  const note = { scope, entityType: 'note', entityId: noteId };
  device.write({ ...note, op: 'put', data: { userId, text: 'base', colour: 'white' } });
  await device.push();
  for (const one of [device, other])
    await pullUntil(one, () => entityOf(one, scope, 'note', noteId) !== undefined);
  device.write({ ...note, op: 'patch', data: { text: 'mine' } });
  other.write({ ...note, op: 'patch', data: theirs });
  await device.push();
  const [held] = await other.push();
  const conflictId = held?.conflictId ?? '';
  for (const one of [device, other]) {
    await pullUntil(one, () => recordOn(one, scope, conflictId)?.status === 'open');
    await pullUntil(one, () => entityOf(one, scope, 'note', noteId)?.data?.['text'] === 'mine');
  }
  return { ...user, other, noteId, conflictId, clock: entityOf(device, scope, 'note', noteId)?.clock ?? {} };
}

/** Waits until a device has the record resolved and the note with this text, as data. */
async function sees(
  { scope, conflictId, noteId }: Collision,
  device: DriverDevice,
  text: string,
): Promise<void> {
  await pullUntil(device, () => recordOn(device, scope, conflictId)?.status === 'resolved');
  await pullUntil(device, () => entityOf(device, scope, 'note', noteId)?.data?.['text'] === text);
}

describe('conflicts', () => {
  it('are seen by both devices as data, resolved by one, and seen resolved with the value by the other', async () => {
    const held = await collision();
    const { device, other, conflictId, clock } = held;
    const answer = await resolve(device, conflictId, { kind: 'keep_client' }, clock);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        conflict: {
          status: 'resolved',
          theirs: { text: 'yours' },
          decision: { kind: 'keep_client', op: 'patch', data: { text: 'yours' } },
          decider: { kind: 'person', deviceId: device.credentials.deviceId },
        },
      },
    });
    // It counts for the service: the next counter of a device may belong to a mutation that is still on its
    // way.
    const after = answer.body.conflict?.decision?.clock ?? {};
    expect(after).toEqual({ ...clock, 's:learning': (clock['s:learning'] ?? 0) + 1 });
    for (const one of [other, device]) await sees(held, one, 'yours');
    expect(entityOf(other, held.scope, 'note', held.noteId)?.clock).toEqual(after);
    expect(recordOn(other, held.scope, conflictId)?.history.map(({ what }) => what)).toEqual([
      'detected',
      'resolved',
    ]);
  });

  it('keep_server changes nothing but the record', async () => {
    const held = await collision();
    const answer = await resolve(held.other, held.conflictId, { kind: 'keep_server' }, held.clock);
    expect(answer.body.conflict).toMatchObject({ status: 'resolved', decision: { kind: 'keep_server' } });
    for (const device of [held.device, held.other]) await sees(held, device, 'mine');
    expect(entityOf(held.device, held.scope, 'note', held.noteId)?.clock).toEqual(held.clock);
  });

  it('merged brings the whole entity that the person made', async () => {
    const held = await collision();
    const data = { userId: held.userId, text: 'mine and yours', colour: 'green' };
    const answer = await resolve(held.device, held.conflictId, { kind: 'merged', data }, held.clock);
    expect(answer.body.conflict).toMatchObject({ status: 'resolved', decision: { kind: 'merged', data } });
    for (const device of [held.device, held.other]) await sees(held, device, 'mine and yours');
    expect(entityOf(held.other, held.scope, 'note', held.noteId)?.data).toEqual(data);
  });

  it('reach both devices, and so does their resolution, with data as deep as a request may be', async () => {
    // A request has 32 levels, of which a mutation's data begins at the fourth and a resolution's at the
    // third.
    const held = await collision({ text: 'yours', deep: nested(28) });
    const data = { userId: held.userId, text: 'both', deep: nested(29) };
    const answer = await resolve(held.other, held.conflictId, { kind: 'merged', data }, held.clock);
    expect(answer.status).toBe(200);
    for (const device of [held.device, held.other]) {
      await sees(held, device, 'both');
      expect(recordOn(device, held.scope, held.conflictId)).toMatchObject({
        theirs: { deep: nested(28) },
        decision: { kind: 'merged', data },
      });
      expect(entityOf(device, held.scope, 'note', held.noteId)?.data).toEqual(data);
    }
    // What a person made of it may be edited on, and collide again.
    held.device.write({
      ...{ scope: held.scope, entityType: 'note', entityId: held.noteId, op: 'patch' },
      data: { deep: nested(28, 'again') },
    });
    expect((await held.device.push()).map(({ status }) => status)).toEqual(['applied']);
  });

  it('answers a repeated resolution the same, however often it is sent', async () => {
    const held = await collision();
    const send = (): Promise<GatewayAnswer<ConflictAnswer>> =>
      resolve(held.device, held.conflictId, { kind: 'keep_client' }, held.clock);
    const answers = [...(await Promise.all([send(), send(), send()])), await send()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body.conflict))).size).toBe(1);
    await sees(held, held.device, 'yours');
    const own = entityOf(held.device, held.scope, 'note', held.noteId)?.clock['s:learning'];
    expect(own).toBe((held.clock['s:learning'] ?? 0) + 1);
  });

  it('lets exactly one of two win who resolve at once, and tells the other what was decided', async () => {
    const held = await collision();
    const { device, other, conflictId, clock } = held;
    const answers = await Promise.all([
      resolve(device, conflictId, { kind: 'keep_client' }, clock),
      resolve(other, conflictId, { kind: 'keep_server' }, clock),
    ]);
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 409]);
    const winner = answers.find(({ status }) => status === 200)?.body.conflict;
    const loser = answers.find(({ status }) => status === 409)?.body;
    expect(loser).toMatchObject({
      code: 'conflict_already_resolved',
      conflict: { decision: winner?.decision },
    });
    await sees(held, device, winner?.decision?.kind === 'keep_client' ? 'yours' : 'mine');
  });

  it('refuses a second resolution with conflict_already_resolved and the record', async () => {
    const held = await collision();
    const first = await resolve(held.device, held.conflictId, { kind: 'keep_server' }, held.clock);
    const second = await resolve(held.other, held.conflictId, { kind: 'keep_client' }, held.clock);
    expect(second).toMatchObject({
      status: 409,
      body: { code: 'conflict_already_resolved', retryable: false },
    });
    expect(second.body.conflict).toEqual(first.body.conflict);
    const auto = await resolve(held.device, held.conflictId, { kind: 'merged', data: {} }, {});
    expect(auto).toMatchObject({ status: 409, body: { code: 'conflict_already_resolved' } });
  });

  it('answers conflict_moved with the current state when the entity changed since', async () => {
    const held = await collision();
    const { device, other, tenantId, userId, noteId, conflictId, clock } = held;
    await changeOnServer(platform().learning, tenantId, 'note', noteId, {
      userId,
      text: 'moved',
      colour: 'red',
    });
    const moved = await resolve(device, conflictId, { kind: 'keep_client' }, clock);
    expect(moved).toMatchObject({
      status: 409,
      body: { code: 'conflict_moved', current: { entityId: noteId, data: { text: 'moved' } } },
    });
    expect((await get(device, `/${conflictId}`)).body.conflict?.status).toBe('open');
    const now = moved.body.current?.clock ?? {};
    const again = await resolve(device, conflictId, { kind: 'keep_client' }, now);
    expect(again.status).toBe(200);
    for (const one of [device, other]) await sees(held, one, 'yours');
    expect(entityOf(device, held.scope, 'note', noteId)?.data).toMatchObject({
      text: 'yours',
      colour: 'red',
    });
  });

  it('hands on what the owning service does not accept, and the conflict stays open', async () => {
    const held = await collision();
    const { device, userId, conflictId, clock } = held;
    const bad = { kind: 'merged', data: { userId, text: 5 } };
    const refused = await resolve(device, conflictId, bad, clock);
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'resolution_rejected', ownerCode: 'data_invalid', retryable: false },
    });
    const foreign = { kind: 'merged', data: { userId: 'somebody-else', text: 'x' } };
    expect(await resolve(device, conflictId, foreign, clock)).toMatchObject({
      body: { ownerCode: 'forbidden' },
    });
    const { conflict } = (await get(device, `/${conflictId}`)).body;
    expect(conflict?.status).toBe('open');
    expect(conflict?.history.map(({ what }) => what)).toEqual([
      'detected',
      'resolution_rejected',
      'resolution_rejected',
    ]);
    expect((await resolve(device, conflictId, { kind: 'keep_server' }, clock)).status).toBe(200);
  });

  it('carries out a held delete when the person keeps it', async () => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const other = await anotherDevice(user);
    const note = { scope, entityType: 'note', entityId: fresh('n') };
    device.write({ ...note, op: 'put', data: { userId, text: 'base' } });
    await device.push();
    for (const one of [device, other])
      await pullUntil(one, () => entityOf(one, scope, 'note', note.entityId) !== undefined);
    device.write({ ...note, op: 'patch', data: { text: 'mine' } });
    other.write({ ...note, op: 'delete' });
    await device.push();
    const [held] = await other.push();
    expect(held?.status).toBe('conflict');
    const conflictId = held?.conflictId ?? '';
    await pullUntil(other, () => recordOn(other, scope, conflictId)?.status === 'open');
    const answer = await resolve(other, conflictId, { kind: 'keep_client' }, held?.current?.clock);
    expect(answer.body.conflict?.decision).toMatchObject({ kind: 'keep_client', op: 'delete' });
    await pullUntil(device, () => entityOf(device, scope, 'note', note.entityId) === undefined);
  });

  it('show both sides, field by field, with policy and history', async () => {
    const { device, other, noteId, conflictId, clock } = await collision();
    const { status, body } = await get(device, `/${conflictId}`);
    expect(status).toBe(200);
    expect(body.conflict).toMatchObject({
      conflictId,
      status: 'open',
      policy: 'lww',
      entityType: 'note',
      entityId: noteId,
      deviceId: other.credentials.deviceId,
      op: 'patch',
      ours: { text: 'mine', colour: 'white' },
      theirs: { text: 'yours' },
      clocks: { ours: clock },
      fields: [{ field: 'text', ours: 'mine', theirs: 'yours', winner: 'open' }],
      decision: null,
      decider: null,
      history: [{ what: 'detected', who: { kind: 'person', deviceId: other.credentials.deviceId } }],
      suggestions: [],
    });
  });

  it('are listed newest first, filtered and paged, for their user only', async () => {
    const { device, other, scope, conflictId, clock } = await collision();
    const notes = [fresh('n'), fresh('n')];
    for (const entityId of notes) {
      const note = { scope, entityType: 'note', entityId };
      const data = { userId: scope.slice('user:'.length), text: 'base' };
      device.write({ ...note, op: 'put', data });
      await device.push();
      other.write({ ...note, op: 'put', data: { ...data, text: 'yours' } });
      expect(await other.push()).toMatchObject([{ status: 'conflict' }]);
    }
    await pullUntil(
      device,
      () =>
        [...device.replica(scope).entities.values()].filter((one) => one.entityType === 'conflict').length ===
        3,
    );
    const first = (await get(device, '?status=open&entityType=note&limit=2')).body;
    const second = (await get(device, `?status=open&limit=2&cursor=${first.next}`)).body;
    expect(first.conflicts?.map(({ entityId }) => entityId)).toEqual([notes[1], notes[0]]);
    expect(second.conflicts?.map((one) => one.conflictId)).toEqual([conflictId]);
    expect(second.next).toBeNull();
    await resolve(device, conflictId, { kind: 'keep_server' }, clock);
    expect((await get(device, '?status=open')).body.conflicts?.length).toBe(2);
    expect((await get(device, '?status=resolved')).body.conflicts).toMatchObject([
      { conflictId, resolution: 'keep_server', fields: ['text'] },
    ]);
    expect((await get(device, '?entityType=document')).body.conflicts).toEqual([]);
    const stranger = await boundUser();
    expect((await get(stranger.device, '')).body.conflicts).toEqual([]);
  });

  it('of others are not found, the same as those that do not exist', async () => {
    const { tenantId, conflictId, clock } = await collision();
    const unknown = randomUUID();
    for (const stranger of [await boundUser(tenantId), await boundUser()]) {
      const { device } = stranger;
      const about = async (id: string): Promise<unknown[]> => {
        const shown = await get(device, `/${id}`);
        const resolved = await resolve(device, id, { kind: 'keep_server' }, clock);
        return [shown, resolved].map(({ status, body }) => ({ ...body, status, serverTime: '' }));
      };
      const foreign = await about(conflictId);
      expect(foreign).toMatchObject([{ code: 'not_found' }, { code: 'not_found' }]);
      expect(foreign).toEqual(await about(unknown));
    }
    const { device } = await boundUser();
    expect((await get(device, '/no-uuid')).status).toBe(404);
  });

  it.each([
    ['/conflictId', { conflictId: 'x' }],
    ['/conflictId', { conflictId: undefined }],
    ['/resolution', { resolution: undefined }],
    ['/resolution/kind', { resolution: { kind: 'toss_a_coin' } }],
    ['/resolution/data', { resolution: { kind: 'merged' } }],
    ['/resolution/update', { resolution: { kind: 'merged', data: {}, update: 'AAA=' } }],
    ['/resolution/update', { resolution: { kind: 'merged', update: '!' } }],
    ['/resolution/suggestionId', { resolution: { kind: 'accept_suggestion' } }],
    ['/expectedClock', { expectedClock: undefined }],
    ['/expectedClock/d:x', { expectedClock: { 'd:x': -1 } }],
  ])('names the offending path %s of %j', async (path, change) => {
    const { device } = await boundUser();
    const body = {
      conflictId: randomUUID(),
      resolution: { kind: 'keep_server' },
      expectedClock: {},
      ...change,
    };
    const answer = await device.send<ConflictAnswer>('/sync/v1/resolve-conflict', body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'schema_invalid' } });
    expect(answer.body.errors?.map((error) => error.path)).toContain(path);
  });

  it.each([
    ['?status=maybe', 'schema_invalid'],
    ['?limit=0', 'schema_invalid'],
    ['?entityType=No', 'schema_invalid'],
    ['?cursor=bm9wZQ', 'cursor_invalid'],
  ])('refuses the list %s', async (query, code) => {
    const { device } = await boundUser();
    expect(await get(device, query)).toMatchObject({ status: 400, body: { code } });
  });

  it('are reviewed by administrators of the tenant: list, record, history, and a chain that verifies', async () => {
    const { device, tenantId, userId, conflictId, clock } = await collision();
    await resolve(device, conflictId, { kind: 'keep_server' }, clock);
    const ask = async (path: string, tenant = tenantId): Promise<GatewayAnswer> => {
      const authorization = `Bearer ${await adminToken(platform(), tenant)}`;
      const url = new URL(`/admin/v1/conflicts${path}`, platform().gateway);
      const answer = await fetch(url, { headers: { authorization } });
      return { status: answer.status, headers: answer.headers, body: (await answer.json()) as never };
    };
    const filter = `?status=resolved&policy=lww&user=${userId}&entityType=note&from=2020-01-01T00:00:00Z`;
    expect((await ask(filter)).body).toMatchObject({ conflicts: [{ conflictId, userId }], next: null });
    expect((await ask('?to=2020-01-01T00:00:00Z')).body).toMatchObject({ conflicts: [] });
    expect((await ask(`/${conflictId}`)).body).toMatchObject({
      conflict: { conflictId, status: 'resolved' },
    });
    expect((await ask(`/${conflictId}/history?limit=1`)).body).toMatchObject({
      entries: [{ what: 'detected' }],
    });
    expect((await ask('/verify')).body).toMatchObject({ checked: 2, broken: null, next: null });
    const foreign = fresh('t');
    expect((await ask(`/${conflictId}`, foreign)).status).toBe(404);
    expect((await ask(`/${conflictId}/history`, foreign)).status).toBe(404);
    expect((await ask('', foreign)).body).toMatchObject({ conflicts: [] });
  });
});
