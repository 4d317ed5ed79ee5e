/** What becomes of writes and of the device where a tab dies at a bad moment, or is of another version. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { failure } from '../net/failure.ts';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import { keyOf } from '../storage/store.ts';
import { kindOf } from '../tabs/messages.ts';
import type { Seat, TabEvents } from '../tabs/tabs.ts';
import { TabsHub } from '../testing/memory-tabs.ts';
import { quiet } from './testing/hand-tab.ts';
import { type Opened, type World, open, openTwo, pass, seen } from './testing/world.ts';

let world: World;
let one: Opened;
let other: Opened;
beforeEach(async () => {
  ({ world, one, other } = await openTwo());
  one.client.start();
  await quiet();
});

const DEAF: TabEvents = {
  heard: () => undefined,
  granted: () => undefined,
  robbed: () => undefined,
  returned: () => undefined,
};

/** A tab of which only the place in the line and the messages are there. */
function joinAsStranger(events: Partial<TabEvents> = {}): Seat {
  return world.hub.open().join('sync-client ["t","u","dev"]', { ...DEAF, ...events });
}

it('a tab that follows does not read everything again with each word of its leader', async () => {
  for (let at = 0; at < 10_000; at += 1) world.transport.server.changeItself(`n${at}`, { value: at });
  const { store } = other.tab;
  const list = store.list.bind(store);
  let lists = 0;
  store.list = (table, prefix) => {
    lists += 1;
    return list(table, prefix);
  };
  world.transport.news();
  await quiet(400);
  expect(other.notes.list().length).toBe(10_000);
  expect(other.client.status.scopes).toEqual(one.client.status.scopes);
  expect(lists).toBe(0);
});

describe('a write of which the leader was not told', () => {
  it('is pushed where its tab was killed before it could', async () => {
    other.tab.store.crashAt(1, 'after');
    void other.notes.put('a', { value: 1 });
    await other.tab.store.crashed;
    other.tab.kill();
    world.transport.server.changeItself('b', { value: 2 });
    world.transport.news();
    await pass(world.clock, 30_000);
    expect(world.transport.server.data.get('a')).toEqual({ value: 1 });
    expect([one.client.status.pending, seen(one)]).toEqual([0, { a: 1, b: 2 }]);
  });

  it('is pushed as soon as another version of the app says that something has changed', async () => {
    const newer = await open({ ...world, hub: new TabsHub() });
    await newer.notes.put('a', { value: 1 });
    joinAsStranger().post({ version: 2, kind: 'stored in another way' });
    await quiet();
    expect(world.transport.server.data.get('a')).toEqual({ value: 1 });
  });
});

it('a revoked device is emptied by the next leader where the one that was told could not', async () => {
  await (await one.notes.put('a', { value: 1 })).wait('seen');
  await quiet();
  one.tab.store.failCommits('failed', 100);
  world.transport.fail = () => failure('revoked', 'device_revoked');
  one.client.forceOffline();
  one.client.forceOffline(false);
  await quiet();
  expect([one.client.status.state, seen(one)]).toEqual(['revoked', { a: 1 }]);
  one.tab.kill();
  await quiet();
  expect([other.client.status.state, seen(other)]).toEqual(['revoked', {}]);
  const rows = await Promise.all(
    (['scope', 'entity', 'page', 'outbox'] as const).map((table) =>
      new MemoryStore(world.disk).list(table, ''),
    ),
  );
  expect(rows.flat()).toEqual([]);
});

it('a write that went with a revoked device does not come back from a tab that was frozen', async () => {
  world.transport.fail = () => failure('offline', 'no network');
  const write = await other.notes.put('a', { value: 1 });
  await quiet();
  other.tab.freeze();
  world.transport.fail = () => failure('revoked', 'device_revoked');
  await pass(world.clock, 60_000);
  expect([one.client.status.state, seen(one)]).toEqual(['revoked', {}]);
  world.transport.fail = () => null;
  one.client.start();
  await quiet();
  other.tab.thaw();
  await pass(world.clock, 20_000);
  await expect(write.wait('applied')).rejects.toMatchObject({ outcome: { code: 'device_revoked' } });
  expect([seen(one), seen(other), world.transport.server.applied]).toEqual([{}, {}, []]);
});

/** Lets the leader say again how it stands now, as it may when it was frozen. */
async function overhearLeader(): Promise<() => void> {
  const heard: unknown[] = [];
  const stranger = joinAsStranger({ heard: (message) => heard.push(message) });
  stranger.post({ version: 1, kind: 'who_leads' });
  await quiet();
  const leading = heard.find((message) => kindOf(message) === 'leading');
  return () => stranger.post(leading);
}

it('a stop is not undone by what a frozen leader says before it has heard of it', async () => {
  const sayAgain = await overhearLeader();
  one.tab.freeze();
  other.client.stop();
  sayAgain();
  await quiet();
  one.tab.kill();
  const asked = world.transport.calls.length;
  await pass(world.clock, 60_000);
  expect([other.client.status.state, world.transport.calls.length]).toEqual(['stopped', asked]);
  one = await open(world);
  one.client.start();
  await pass(world.clock, 10_000);
  expect([one.client.status.state, other.client.status.state]).toEqual(['live', 'live']);
});

it('a start in another tab undoes a stop that the leader has not heard of', async () => {
  const third = await open(world);
  const sayAgain = await overhearLeader();
  one.tab.freeze();
  other.client.stop();
  third.client.start();
  sayAgain();
  await quiet();
  one.tab.kill();
  await pass(world.clock, 10_000);
  expect([other.client.status.state, third.client.status.state]).toEqual(['live', 'live']);
});

it('a tab that has missed a commit, and finds a damaged row then, leads all the same', async () => {
  world.transport.fail = () => failure('offline', 'no network');
  await other.notes.put('a', { value: 1 });
  other.tab.freeze();
  world.transport.fail = () => null;
  await one.notes.put('b', { value: 2 });
  await pass(world.clock, 5_000);
  one.tab.kill();
  world.disk.tables.get('scope')?.set(keyOf(SCOPE), 'no JSON');
  other.tab.thaw();
  await pass(world.clock, 60_000);
  expect([other.client.status.state, seen(other)]).toEqual(['live', { a: 1, b: 2 }]);
  expect(world.transport.server.applied.length).toBe(2);
});

describe('tabs of two versions of the app', () => {
  it('leave the lead to the one that has it', async () => {
    let robbed = 0;
    const newer = joinAsStranger({
      heard: (message) => {
        if (kindOf(message) === 'who_leads') newer.post({ version: 2, kind: 'leading' });
      },
      robbed: () => (robbed += 1),
    });
    newer.steal();
    for (let turn = 0; turn < 6; turn += 1) await pass(world.clock, 10_000);
    expect(robbed).toBe(0);
  });

  it('hear who leads when they ask', async () => {
    const heard: unknown[] = [];
    joinAsStranger({ heard: (message) => heard.push(kindOf(message)) }).post({
      version: 2,
      kind: 'who_leads',
    });
    await quiet();
    expect(heard).toContain('leading');
  });
});
