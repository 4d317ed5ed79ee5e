import { afterEach, describe, expect, it } from '@jest/globals';
import type { Answer, Call } from '@sync/client';
import type { PullRequest } from '@sync/protocol';
import { ackedBy, closeAll, open, pushedBy, reopen } from './testing/open-devices.ts';
import { SCOPE, makeServer, until } from './testing/rx-device.ts';

afterEach(closeAll);

const rows = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${at}`, { text: `text ${at}` }]));

describe('pulls', () => {
  it('brings everything over several pages, and acks what is stored', async () => {
    const server = makeServer();
    server.grant('u', 'course:c');
    server.seed('note', rows(35), { scope: SCOPE });
    server.seed('page', rows(25));
    const device = await open(server, 'a');
    await device.inSync();
    expect(Object.keys(await device.shown())).toHaveLength(35);
    expect(Object.keys(await device.shown(device.pages))).toHaveLength(25);
    server.change('note', 'n0', { text: 'changed' });
    await until(async () => (await device.shown())['n0'] === 'changed');
    await device.inSync();
    expect(ackedBy(device).flatMap(({ cursors = [] }) => cursors.map(({ scope }) => scope))).toContain(SCOPE);
    expect(pushedBy(device)).toEqual([]);
    expect(device.errors).toEqual([]);
  });

  it('acks no page that is being stored while it asks for the next one', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    const isStored = Promise.withResolvers<undefined>();
    const storage = device.notes.storageInstance;
    const write = storage.bulkWrite.bind(storage);
    storage.bulkWrite = async (...given) => {
      await isStored.promise;
      return write(...given);
    };
    server.seed('note', rows(25), { scope: SCOPE });
    const pulled = () =>
      device.link.calls.flatMap(({ path, body }) =>
        path.endsWith('pull') ? ((body as PullRequest).scopes ?? []).map(({ cursor }) => cursor) : [],
      );
    const before = new Set(pulled());
    const acked = () => ackedBy(device).flatMap(({ cursors = [] }) => cursors.map(({ cursor }) => cursor));
    const asked = () => pulled().filter((cursor) => cursor !== null && !before.has(cursor));
    // Both collections go past the same two full pages; to the notes they bring documents.
    const fullPages = () => [...new Set(asked())].slice(0, 2);
    await until(() => asked().filter((cursor) => fullPages().includes(cursor)).length === 4);
    expect(acked().filter((cursor) => fullPages().includes(cursor))).toEqual([]);
    isStored.resolve(undefined);
    await until(async () => Object.keys(await device.shown()).length === 25);
    await device.inSync();
    expect(acked().length).toBeGreaterThan(0);
  });

  it('shows what others write by the socket', async () => {
    const server = makeServer();
    const device = await open(server, 'a');
    await device.inSync();
    server.change('note', 'n1', { text: 'new' }, { scope: SCOPE });
    await until(async () => (await device.shown())['n1'] === 'new');
    server.change('note', 'n1', null);
    await until(async () => Object.keys(await device.shown()).length === 0);
    expect(device.errors).toEqual([]);
  });

  it('looks from time to time where there is no socket', async () => {
    const server = makeServer();
    const device = await open(server, 'a', { hasSocket: false, pollMs: 20 });
    await device.inSync();
    server.change('note', 'n1', { text: 'new' }, { scope: SCOPE });
    await until(async () => (await device.shown())['n1'] === 'new');
    expect(device.errors).toEqual([]);
  });

  it('deletes what does not come again when a scope begins anew, and keeps what was not sent', async () => {
    const server = makeServer();
    server.seed('note', rows(25), { scope: SCOPE });
    const device = await open(server, 'a');
    await device.inSync();
    device.link.offline();
    for (const at of [3, 4, 24]) server.change('note', `n${at}`, null);
    server.loseHistory();
    await device.notes.insert({ id: 'mine', text: 'offline' });
    await until(() => device.errors.length > 0);
    device.link.online();
    await until(() => server.entity('note', 'mine') !== undefined);
    await device.inSync();
    const ids = Object.keys(await device.shown());
    expect(ids).toHaveLength(23);
    expect(ids).toEqual(expect.arrayContaining(['n0', 'n5', 'n23', 'mine']));
    expect(pushedBy(device).every(({ entityId }) => entityId === 'mine')).toBe(true);
  });

  it('begins a scope anew once more where it was stopped in the middle', async () => {
    const server = makeServer();
    server.seed('note', rows(35), { scope: SCOPE });
    const first = await open(server, 'a');
    await first.inSync();
    first.link.offline();
    server.change('note', 'n34', null);
    server.loseHistory();
    const pulls = first.count('pull');
    first.link.delay(30);
    first.link.online();
    // The third page of each collection is under way, and the first of the notes is stored.
    await until(() => first.count('pull') >= pulls + 6);
    const second = await reopen(first, server, 'a');
    await second.inSync();
    expect(Object.keys(await second.shown())).toHaveLength(34);
  });

  it('begins its scopes anew where the server takes their cursors no more', async () => {
    const server = makeServer();
    server.seed('note', rows(3), { scope: SCOPE });
    const device = await open(server, 'a');
    await device.inSync();
    const { link } = device;
    const send = link.send.bind(link);
    link.send = async <T>(call: Call): Promise<Answer<T>> => {
      const { scopes = [] } = call.body as PullRequest;
      if (!call.path.endsWith('pull') || scopes.every(({ cursor }) => cursor === null)) return send<T>(call);
      const failure = { ok: false, kind: 'cursor_invalid', status: 400, problem: null } as const;
      return { ...failure, retryAfterMs: null, detail: 'another secret' };
    };
    server.change('note', 'n0', null);
    server.change('note', 'n1', { text: 'changed' });
    await device.inSync();
    expect(await device.shown()).toEqual({ n1: 'changed', n2: 'text 2' });
    expect(device.errors).toEqual([]);
  });

  it('passes over what an outcome shows where it has something newer', async () => {
    const server = makeServer();
    server.seed('note', { n1: { text: 'older' } }, { scope: SCOPE });
    const device = await open(server, 'a');
    await device.inSync();
    const before = server.entity('note', 'n1');
    server.change('note', 'n1', { text: 'newer' });
    await until(async () => (await device.shown())['n1'] === 'newer');
    const { link } = device;
    const send = link.send.bind(link);
    const current = { ...before, entityType: 'note', entityId: 'n1', scope: SCOPE };
    const outcome = { mutationId: crypto.randomUUID(), status: 'superseded', current };
    link.send = async <T>(call: Call): Promise<Answer<T>> => {
      const answer = await send<T>(call);
      if (!answer.ok || !call.path.endsWith('pull')) return answer;
      return { ok: true, body: { ...answer.body, outcomes: [outcome] } };
    };
    await device.inSync();
    expect(device.outcomes).toMatchObject([{ status: 'superseded' }]);
    expect(await device.shown()).toEqual({ n1: 'newer' });
  });

  it('removes a scope that is taken away, receipts it, and has it back when granted again', async () => {
    const server = makeServer();
    server.seed('page', rows(3));
    const device = await open(server, 'a');
    await device.inSync();
    expect(await device.shown(device.pages)).toEqual({});
    const purged = () => ackedBy(device).flatMap((body) => body.purged ?? []);
    // A socket says nothing of either; the next pull does.
    const untilPulled = async (isSo: () => boolean | Promise<boolean>) =>
      until(async () => {
        await device.inSync();
        return isSo();
      });
    const has = (count: number) => async () => Object.keys(await device.shown(device.pages)).length === count;
    for (const _round of [1, 2]) {
      server.grant('u', 'course:c');
      await untilPulled(has(3));
      const before = purged().length;
      server.withdraw('u', 'course:c');
      await untilPulled(has(0));
      await untilPulled(() => purged().length > before);
    }
    expect(new Set(purged())).toEqual(new Set(['course:c']));
  });

  it('goes past what is of other types once', async () => {
    const server = makeServer();
    server.grant('u', 'course:c');
    server.seed('page', rows(35));
    const device = await open(server, 'a');
    await device.inSync();
    const before = device.count('pull');
    await device.inSync();
    // One of each collection for each time that RxDB looks: no pages.
    expect(device.count('pull') - before).toBeLessThan(8);
    expect(await device.shown()).toEqual({});
  });

  it('keeps a document that moves to another scope, whichever of the two it hears first', async () => {
    const server = makeServer({ scopes: ['course:{colour}'] });
    for (const scope of ['course:a', 'course:z']) server.grant('u', scope);
    server.seed('note', { up: { text: 'one', colour: 'a' }, down: { text: 'two', colour: 'z' } });
    const device = await open(server, 'a');
    await device.inSync();
    expect(await device.shown()).toEqual({ up: 'one, a', down: 'two, z' });
    device.link.offline();
    server.change('note', 'up', { text: 'one', colour: 'z' });
    server.change('note', 'down', { text: 'two', colour: 'a' });
    device.link.online();
    await device.inSync();
    expect(await device.shown()).toEqual({ up: 'one, z', down: 'two, a' });
  });
});
