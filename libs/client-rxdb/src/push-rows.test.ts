import { afterEach, describe, expect, it } from '@jest/globals';
import { takeAsSent } from '@sync/client-testing';
import type { Answer, Call } from '@sync/client';
import { ackedBy, closeAll, open, pushedBy, reopen } from './testing/open-devices.ts';
import { SCOPE, makeServer, until } from './testing/rx-device.ts';

afterEach(closeAll);

describe('pushes', () => {
  it('puts the whole where a field was taken away, and counts its mutations over a restart', async () => {
    const server = makeServer();
    const first = await open(server, 'a');
    await first.inSync();
    await first.notes.insert({ id: 'n1', text: 'one', colour: 'red' });
    await first.inSync();
    const second = await reopen(first, server, 'a');
    await second.inSync();
    const note = await second.notes.findOne('n1').exec(true);
    await note.incrementalModify(({ colour: _colour, ...rest }) => rest);
    await until(() => server.entity('note', 'n1')?.data?.['colour'] === undefined);
    const [before, after] = [pushedBy(first)[0], pushedBy(second)[0]];
    expect([before?.sequence, after?.sequence]).toEqual([1, 2]);
    expect(after).toMatchObject({ op: 'put', data: { text: 'one' } });
  });

  it('sends later what was written offline: wholes, then what changed, and deletions', async () => {
    const server = makeServer();
    server.seed('note', { theirs: { text: 'a', colour: 'red' }, gone: { text: 'b' } }, { scope: SCOPE });
    const device = await open(server, 'a');
    await device.inSync();
    device.link.offline();
    await device.notes.insert({ id: 'mine', text: 'one' });
    await (await device.notes.findOne('theirs').exec(true)).incrementalPatch({ text: 'changed' });
    await (await device.notes.findOne('gone').exec(true)).remove();
    await until(() => device.errors.length > 0);
    device.link.online();
    await until(() => server.entity('note', 'mine')?.data !== undefined);
    await device.inSync();
    const sent = new Map(pushedBy(device).map((each) => [each.entityId, each]));
    expect(sent.get('mine')).toMatchObject({ op: 'put', data: { text: 'one' }, scope: SCOPE });
    expect(sent.get('theirs')).toMatchObject({ op: 'patch' });
    expect(sent.get('theirs')?.data).toEqual({ text: 'changed' });
    expect(sent.get('gone')).toMatchObject({ op: 'delete' });
    expect(server.entity('note', 'theirs')?.data).toEqual({ text: 'changed', colour: 'red' });
    expect(server.entity('note', 'gone')?.data).toBeNull();
    expect(await device.shown()).toEqual({ mine: 'one', theirs: 'changed, red' });
    expect(device.outcomes).toEqual([]);
  });

  it('applies once what is sent again because its answer got lost, though it changed meanwhile', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    device.link.loseAnswers(2, 'push');
    const note = await device.notes.insert({ id: 'n1', text: 'one' });
    await until(() => device.errors.length > 0);
    await note.incrementalPatch({ text: 'two' });
    await until(() => server.entity('note', 'n1')?.data?.['text'] === 'two');
    await device.inSync();
    expect(server.entity('note', 'n1')?.clock).toEqual({ 'd:a': 2 });
    expect(new Set(pushedBy(device).map(({ mutationId }) => mutationId)).size).toBe(2);
    expect(device.outcomes).toEqual([]);
  });

  it('applies once what is sent again after a restart', async () => {
    const server = makeServer();
    const first = await open(server, 'a');
    await first.inSync();
    first.link.loseAnswers(1_000, 'push');
    await first.notes.insert({ id: 'n1', text: 'one' });
    await until(() => server.entity('note', 'n1') !== undefined && first.errors.length > 0);
    const second = await reopen(first, server, 'a');
    await until(() => second.count('push') > 0);
    await second.inSync();
    expect(server.entity('note', 'n1')?.clock).toEqual({ 'd:a': 1 });
    const [before, after] = [pushedBy(first)[0], pushedBy(second)[0]];
    expect(after?.mutationId).toBe(before?.mutationId);
    expect(after?.sequence).toBeGreaterThan(before?.sequence ?? 0);
    expect(second.outcomes).toEqual([]);
  });

  it('chains edits of one device without a conflict, whatever has come back of them', async () => {
    const server = makeServer();
    const device = await open(server, 'a', { hasSocket: false });
    await device.inSync();
    const note = await device.notes.insert({ id: 'n1', text: '0' });
    await device.inSync();
    for (const text of ['1', '2', '3']) {
      await note.incrementalPatch({ text });
      await until(() => server.entity('note', 'n1')?.data?.['text'] === text);
    }
    await device.inSync();
    expect(server.conflicts()).toEqual([]);
    expect(device.outcomes).toEqual([]);
  });

  it('knows what its documents have seen where RxDB forgot what the server had', async () => {
    const server = makeServer();
    server.seed('note', { n1: { text: 'a' } }, { scope: SCOPE });
    const first = await open(server, 'a');
    await first.inSync();
    const second = await reopen(first, server, 'a', { identifier: 'other' });
    await second.inSync();
    await (await second.notes.findOne('n1').exec(true)).incrementalPatch({ text: 'b' });
    await until(() => server.entity('note', 'n1')?.data?.['text'] === 'b');
    expect(pushedBy(second).map(({ baseClock }) => baseClock)).toContainEqual({ 's:server': 1 });
    expect(server.conflicts()).toEqual([]);
  });

  it('gives a conflict to the handler of the app, and sends what that makes of it', async () => {
    const server = makeServer();
    server.seed('note', { n1: { text: 'a', colour: 'white' } }, { scope: SCOPE });
    const inputs: object[] = [];
    const device = await open(server, 'a', {
      conflictHandler: {
        isEqual: (one, other) => JSON.stringify(one) === JSON.stringify(other),
        resolve: async ({ realMasterState, newDocumentState }) => {
          inputs.push({ server: realMasterState.colour, mine: newDocumentState.colour });
          return { ...newDocumentState, colour: `${realMasterState.colour}+red` };
        },
      },
    });
    await device.inSync();
    device.link.offline();
    await (await device.notes.findOne('n1').exec(true)).incrementalPatch({ text: 'b', colour: 'red' });
    await until(() => device.errors.length > 0);
    server.change('note', 'n1', { text: 'a', colour: 'blue' });
    device.link.online();
    await until(() => server.entity('note', 'n1')?.data?.['colour'] === 'blue+red');
    await device.inSync();
    expect(inputs).toEqual([{ server: 'blue', mine: 'red' }]);
    expect(device.outcomes).toMatchObject([{ status: 'merged', conflictId: expect.any(String) }]);
    expect(await device.shown()).toEqual({ n1: 'b, blue+red' });
    // What the handler made had seen the other side.
    expect(server.conflicts()).toHaveLength(1);
  });

  it('shows what the server has where it refuses a change, and tells why', async () => {
    const server = makeServer({
      handle: (sent, current) =>
        sent.data?.['text'] === 'bad'
          ? { kind: 'rejected', code: 'data_invalid', message: '/text is bad' }
          : takeAsSent(sent, current),
    });
    server.seed('note', { n1: { text: 'a' } }, { scope: SCOPE });
    const device = await open(server, 'a');
    await device.inSync();
    await (await device.notes.findOne('n1').exec(true)).incrementalPatch({ text: 'bad' });
    await device.notes.insert({ id: 'new', text: 'bad' });
    await until(async () => device.outcomes.length === 2 && (await device.shown())['n1'] === 'a');
    await device.inSync();
    expect(await device.shown()).toEqual({ n1: 'a' });
    expect(device.outcomes).toMatchObject([{ code: 'data_invalid', message: '/text is bad' }, {}]);
    await until(async () => {
      await device.inSync();
      return ackedBy(device).flatMap(({ outcomes = [] }) => outcomes).length >= 2;
    });
  });

  it('sends what was refused once, though the handler of the app insists on it', async () => {
    const server = makeServer({
      handle: () => ({ kind: 'rejected', code: 'data_invalid', message: 'never' }),
    });
    const device = await open(server, 'a', {
      conflictHandler: {
        isEqual: (one, other) => JSON.stringify(one) === JSON.stringify(other),
        resolve: async ({ newDocumentState }) => newDocumentState,
      },
    });
    await device.inSync();
    await device.notes.insert({ id: 'n1', text: 'mine' });
    await until(() => device.outcomes.length > 0);
    await device.inSync();
    await device.inSync();
    expect(device.count('push')).toBe(1);
    expect(await device.shown()).toEqual({ n1: 'mine' });
  });

  it('shows what became of a change of which a push said no more than that it is kept', async () => {
    const server = makeServer({
      handle: (sent, current) =>
        sent.data?.['text'] === 'bad'
          ? { kind: 'rejected', code: 'data_invalid', message: '/text is bad' }
          : takeAsSent(sent, current),
    });
    server.seed('note', { n1: { text: 'a' } }, { scope: SCOPE });
    const device = await open(server, 'a', { onlyAccepts: true });
    await device.inSync();
    await (await device.notes.findOne('n1').exec(true)).incrementalPatch({ text: 'bad' });
    await device.notes.insert({ id: 'new', text: 'bad' });
    await device.notes.insert({ id: 'good', text: 'b' });
    await until(async () => {
      await device.inSync();
      return device.outcomes.length === 2;
    });
    await device.inSync();
    expect(await device.shown()).toEqual({ n1: 'a', good: 'b' });
  });

  it('refuses by itself what no server takes, and sends the others', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    await device.notes.bulkInsert([
      { id: 'no id of an entity', text: 'a' },
      { id: 'good', text: 'b' },
      { id: 'large', text: 'x'.repeat(300_000) },
    ]);
    await until(() => server.entity('note', 'good') !== undefined && device.outcomes.length === 2);
    await device.inSync();
    expect(device.outcomes.map(({ code }) => code).sort()).toEqual(['data_invalid', 'data_too_large']);
    expect(await device.shown()).toEqual({ good: 'b' });
  });

  it('sends in parts what is too large for one request', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    device.link.fail('payload_too_large', 'push');
    await device.notes.bulkInsert(Array.from({ length: 5 }, (_, at) => ({ id: `n${at}`, text: 'a' })));
    await until(() => server.entity('note', 'n4') !== undefined);
    expect(pushedBy(device).map(({ entityId }) => entityId)).toHaveLength(10);
    expect(device.errors).toEqual([]);
  });

  it('sends one request at a time, of whatever collection', async () => {
    const server = makeServer();
    server.grant('u', 'course:c');
    const device = await open(server, 'a');
    await device.inSync();
    const { link } = device;
    const send = link.send.bind(link);
    let underWay = 0;
    let most = 0;
    link.send = async <T>(call: Call): Promise<Answer<T>> => {
      if (!call.path.endsWith('push')) return send<T>(call);
      underWay += 1;
      most = Math.max(most, underWay);
      const answer = await send<T>(call);
      underWay -= 1;
      return answer;
    };
    link.delay(30);
    await Promise.all([
      device.notes.insert({ id: 'n1', text: 'note' }),
      device.pages.insert({ id: 'p1', text: 'page' }),
    ]);
    await until(() => server.entity('note', 'n1') !== undefined && server.entity('page', 'p1') !== undefined);
    expect(most).toBe(1);
    expect(pushedBy(device).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  it('waits as long as it is told to', async () => {
    const server = makeServer();
    const timers = new Map<number, () => void>();
    const setTimer = (ms: number, run: () => void): (() => void) => {
      timers.set(ms, run);
      return () => undefined;
    };
    const device = await open(server, 'a', { clock: { now: () => Date.now(), setTimer } });
    await device.inSync();
    device.link.fail('unavailable', 'push');
    await device.notes.insert({ id: 'n1', text: 'a' });
    await until(() => device.errors.length > 0);
    // RxDB asks again after 20 ms.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([device.count('push'), server.entity('note', 'n1')]).toEqual([1, undefined]);
    timers.get(1_000)?.();
    await until(() => server.entity('note', 'n1') !== undefined);
    expect(device.count('push')).toBe(2);
  });

  it('sends nothing any more once the device was revoked', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    server.revokeDevice('a');
    await until(() => device.ended.length > 0);
    const before = device.link.calls.length;
    await device.notes.insert({ id: 'n1', text: 'a' });
    await until(() => device.errors.length > 5);
    expect(device.link.calls.length).toBe(before);
    expect(device.ended).toMatchObject([{ code: 'device_revoked' }]);
  });
});
