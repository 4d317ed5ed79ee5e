import { afterEach, describe, expect, it } from '@jest/globals';
import type { PullResponse } from '@sync/protocol';
import { type EntityType, type SyncClient, createSyncClient } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { type DeviceLink, HandClock, type TestServer, createTestServer, takeAsSent } from './index.ts';

interface Note {
  readonly text: string;
  readonly colour?: string;
}

const SCOPE = 'user:u';
const APP = { note: {} as EntityType<Note>, page: { scope: 'course:c' } as EntityType<Note> };
type App = SyncClient<typeof APP>;

const opened: App[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) await app.close();
});

const serverOf = (clock?: HandClock): TestServer =>
  createTestServer({
    entities: { note: { policy: 'lww' }, page: { policy: 'lww', scopes: ['course:c'] } },
    ...(clock ? { clock } : {}),
  });

async function open(link: DeviceLink, store = new MemoryStore()): Promise<App> {
  const app = await createSyncClient({ ...link.options, store, entities: APP });
  opened.push(app);
  for (const name of ['note', 'page'] as const) await app.entity(name).load();
  app.start();
  return app;
}

/** Lets what waits for nothing but its turn go on, until it is so. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await isSo()); turn += 1) {
    if (turn > 1_000) throw new Error('it never came to be so');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const pullOf = (body: object) =>
  ({ method: 'POST', path: '/sync/v1/pull', body, timeoutMs: 10_000 }) as const;

const device = (deviceId: string) => ({ userId: 'u', deviceId });

describe('a server in memory', () => {
  it('shows two devices what each other writes, and what was there before', async () => {
    const server = serverOf();
    server.seed('note', { n0: { text: 'seeded' } }, { scope: SCOPE });
    const [one, other] = [await open(server.device(device('a'))), await open(server.device(device('b')))];
    await (await one.entity('note').put('n1', { text: 'mine' })).wait('seen');
    await until(() => other.entity('note').list().length === 2);
    expect(other.entity('note').get('n1')?.data).toEqual({ text: 'mine' });
    expect(other.entity('note').get('n0')?.data).toEqual({ text: 'seeded' });
  });

  it('merges what both sides wrote, and keeps what lost', async () => {
    const server = serverOf();
    server.seed('note', { n1: { text: 'a', colour: 'white' } }, { scope: SCOPE });
    const link = server.device(device('a'));
    const app = await open(link);
    await until(() => app.entity('note').get('n1') !== null);
    link.offline();
    const write = await app.entity('note').patch('n1', { text: 'b', colour: 'red' });
    await new Promise((resolve) => setTimeout(resolve, 10));
    server.change('note', 'n1', { text: 'a', colour: 'blue' });
    link.online();
    app.networkChanged(true);
    const outcome = await write.wait('applied');
    expect(outcome?.status).toBe('merged');
    expect(server.entity('note', 'n1')?.data).toEqual({ text: 'b', colour: 'blue' });
    expect(app.entity('note').get('n1')?.data).toEqual({ text: 'b', colour: 'blue' });
    expect(server.conflicts()).toMatchObject([
      { status: 'auto_resolved', fields: [{ field: 'colour', ours: 'blue', theirs: 'red', winner: 'ours' }] },
    ]);
    // A pull brings the record, and may do so after the outcome.
    await until(async () => (await app.conflicts()).length > 0);
    expect((await app.conflicts()).map(({ conflictId }) => conflictId)).toEqual([outcome?.conflictId]);
  });

  it('applies once what is sent again because its answer got lost', async () => {
    const server = serverOf();
    const link = server.device(device('a'));
    const mutation = {
      ...{
        mutationId: '6f1c1f0a-1f0e-4d53-9d0c-0f6f3a1f7a11',
        sequence: 1,
        scope: SCOPE,
        entityType: 'note',
      },
      ...{ entityId: 'n1', op: 'put', data: { text: 'once' }, occurredAt: '2026-01-01T00:00:00Z' },
    };
    const body = { sentAt: '2026-01-01T00:00:00Z', mutations: [mutation] };
    const push = () => link.send({ ...pullOf(body), path: '/sync/v1/push' });
    link.loseAnswers(1, 'push');
    expect(await link.send(pullOf({}))).toMatchObject({ ok: true });
    expect(await push()).toMatchObject({ ok: false, kind: 'offline' });
    const applied = [{ status: 'applied', clock: { 'd:a': 1 } }];
    expect(server.outcomesOf(device('a'))).toMatchObject(applied);
    expect(await push()).toMatchObject({ ok: true, body: { outcomes: applied } });
    expect(server.entity('note', 'n1')?.clock).toEqual({ 'd:a': 1 });
  });

  it('takes a scope away and gives it back', async () => {
    const server = serverOf();
    server.seed('page', { p1: { text: 'chapter' } });
    const app = await open(server.device(device('a')));
    await until(() => app.status.state === 'live');
    expect(app.entity('page').list()).toEqual([]);
    server.grant('u', 'course:c');
    await until(() => app.entity('page').list().length === 1);
    server.withdraw('u', 'course:c');
    await until(() => app.entity('page').list().length === 0);
    const late = await app.entity('page').put('p2', { text: 'too late' });
    await expect(late.wait('applied')).rejects.toMatchObject({ outcome: { code: 'scope_not_held' } });
    server.grant('u', 'course:c');
    await until(() => app.entity('page').list().length === 1);
  });

  it.each(['a record that the app has loaded', 'one that it has not'])(
    'leaves nothing of a withdrawn scope in what the device has pulled, of %s',
    async (which) => {
      const server = serverOf();
      const link = server.device(device('a'));
      const store = new MemoryStore();
      server.grant('u', 'course:c');
      server.seed('page', { p1: { text: 'seen' } });
      const app = await open(link, store);
      await until(() => app.entity('page').list().length === 1);
      link.offline();
      const write = await app.entity('page').patch('p1', { text: 'mine' });
      await new Promise((resolve) => setTimeout(resolve, 5));
      server.change('page', 'p1', { text: 'a secret' });
      link.online();
      await expect(write.wait('applied')).rejects.toMatchObject({ outcome: { status: 'superseded' } });
      const stored = async (): Promise<string> => {
        const tables = ['entity', 'page', 'outbox', 'outcome', 'document'] as const;
        return JSON.stringify(await Promise.all(tables.map((table) => store.list(table, ''))));
      };
      await until(async () => (await stored()).includes('"theirs":"mine"'));
      const isLoaded = which === 'a record that the app has loaded';
      if (isLoaded) expect(JSON.stringify(await app.conflicts())).toContain('a secret');
      server.withdraw('u', 'course:c');
      await until(() => app.entity('page').list().length === 0);
      expect(await stored()).not.toContain('a secret');
      const [record] = await app.conflicts();
      expect(record).toMatchObject({ ours: null, base: null, theirs: { text: 'mine' } });
      expect(record?.omitted).toContain('ours');
      const { debug, status } = app;
      expect([debug.call(app).status.state, status.reason]).toEqual(['live', null]);
    },
  );

  it('has everything pulled anew after it has lost its history', async () => {
    const server = serverOf();
    server.seed('note', { n1: { text: 'stays' }, n2: { text: 'goes' } }, { scope: SCOPE });
    const link = server.device(device('a'));
    const other = server.device(device('b'));
    const pull = async (cursor: string | null) => {
      const answer = await other.send<PullResponse>(pullOf({ scopes: [{ scope: SCOPE, cursor }] }));
      const page = answer.ok ? answer.body.scopes[0] : undefined;
      return page ?? { cursor: '', reset: null };
    };
    const { cursor } = await pull(null);
    expect((await pull(cursor)).reset).toBe(false);
    const app = await open(link);
    await until(() => app.entity('note').list().length === 2);
    link.offline();
    server.change('note', 'n2', null);
    server.loseHistory();
    link.online();
    app.networkChanged(true);
    await until(() => app.entity('note').list().length === 1);
    expect(app.entity('note').get('n1')?.data).toEqual({ text: 'stays' });
    expect((await pull(cursor)).reset).toBe(true);
  });

  it('cuts off what is under way when the network goes', async () => {
    const server = serverOf();
    const link = server.device(device('a'));
    const first = await link.send<PullResponse>(pullOf({}));
    const scopes = first.ok ? first.body.scopes.map(({ scope, cursor }) => ({ scope, cursor })) : [];
    const waiting = link.send(pullOf({ scopes, waitMs: 20_000 }));
    link.offline();
    expect(await waiting).toMatchObject({ ok: false, kind: 'offline', status: null });
    expect(await link.send(pullOf({}))).toMatchObject({ ok: false, kind: 'offline' });
    link.online();
    expect(await link.send(pullOf({}))).toMatchObject({ ok: true });
  });

  it('tells whoever follows it of all scopes, then of those with news, until it is revoked', () => {
    const server = serverOf();
    const { identity } = server.device(device('a')).options;
    const told: (readonly string[] | null)[] = [];
    const stop = server.follow(identity, (scopes) => void told.push(scopes));
    server.seed('page', { p1: { text: 'not yet his' } });
    server.change('note', 'n1', { text: 'new' }, { scope: SCOPE });
    server.grant('u', 'course:c');
    server.revokeDevice('a');
    stop();
    server.change('note', 'n1', null);
    expect(told).toEqual([[SCOPE], [SCOPE], ['course:c'], null]);
  });

  it('tells whoever follows it of a scope that is taken, and when it is there again', () => {
    const server = serverOf();
    const { identity } = server.device(device('a')).options;
    server.grant('u', 'course:c');
    const told: (readonly string[] | null)[] = [];
    const stop = server.follow(identity, (scopes) => void told.push(scopes));
    server.withdraw('u', 'course:c');
    server.grant('u', 'course:c');
    stop();
    expect(told).toEqual([[SCOPE, 'course:c'], ['course:c'], ['course:c']]);
  });

  it('stops a device that was revoked, while it waits', async () => {
    const server = serverOf();
    const app = await open(server.device(device('a')));
    await until(() => app.status.state === 'live');
    server.revokeDevice('a');
    await until(() => app.status.state !== 'live');
    expect(app.status.state).toBe('revoked');
  });

  it('refuses what its owner refuses, and a request that is to fail', async () => {
    const server = createTestServer({
      entities: {
        note: {
          policy: 'lww',
          handle: (sent, current) =>
            sent.data?.['text'] === ''
              ? { kind: 'rejected', code: 'data_invalid', message: '/text is empty' }
              : takeAsSent(sent, current),
        },
      },
    });
    const link = server.device(device('a'));
    link.fail('unavailable', 'push');
    link.fail('rate_limited');
    expect(await link.send(pullOf({}))).toMatchObject({ ok: false, kind: 'busy', retryAfterMs: 1_000 });
    expect(await link.send(pullOf({}))).toMatchObject({ ok: true });
    const app = await open(link);
    const write = await app.entity('note').put('n1', { text: '' });
    await expect(write.wait('applied')).rejects.toMatchObject({ outcome: { code: 'data_invalid' } });
    expect(link.calls.filter(({ path }) => path === '/sync/v1/push')).toHaveLength(2);
  });

  it('says at once what it cannot have', () => {
    const withPolicy = (name: string, policy: 'crdt_yjs' | 'lww') => (): TestServer =>
      createTestServer({ entities: { [name]: { policy } } });
    expect(withPolicy('document', 'crdt_yjs')).toThrow('document: `documents` belong to crdt_yjs');
    expect(withPolicy('conflict', 'lww')).toThrow('conflict is the server’s own entity type');
    expect(() => serverOf().seed('note', { n1: { text: 'a' } })).toThrow('note n1: into which scope?');
    expect(() => serverOf().change('nothing', 'n1', {})).toThrow('There is no entity type nothing');
  });

  it('lives by the clock of the test', async () => {
    const clock = new HandClock(Date.parse('2026-01-01T00:00:00Z'));
    const link = serverOf(clock).device(device('a'));
    link.delay(2_000);
    const answer = link.send(pullOf({ limit: 1 }));
    await until(() => clock.waiting === 2);
    clock.advance(2_000);
    expect(await answer).toMatchObject({ ok: true, body: { serverTime: '2026-01-01T00:00:00.000Z' } });
    link.delay(20_000);
    const late = link.send(pullOf({}));
    await until(() => clock.waiting === 2);
    clock.advance(10_000);
    expect(await late).toMatchObject({ ok: false, kind: 'offline' });
  });
});
