import { describe, expect, it } from '@jest/globals';
import type { Outcome, PullResponse } from '@sync/protocol';
import * as Y from 'yjs';
import { makeDevice, quiet } from '../client/testing/make-device.ts';
import { HandClock } from '../clock/hand-clock.ts';
import type { LocalState } from '../local/local-state.ts';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { storePush } from '../local/store-answers.ts';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import type { Failure } from '../net/transport.ts';
import { entityKey } from '../replica/rows.ts';
import { StorageError } from '../storage/store.ts';
import { type OpenDocument, type Replaced, openDocument } from './index.ts';
import { typing } from './testing/typing-device.ts';

const textOf = (doc: Y.Doc): string => doc.getText('body').toJSON();
const OFFLINE: Failure = {
  ...{ ok: false, kind: 'offline', status: null, problem: null, retryAfterMs: null, detail: '' },
};
const withoutDeltas = (answer: PullResponse): PullResponse => ({
  ...answer,
  scopes: answer.scopes.map((page) => ({ ...page, deltas: [] })),
});
const type = ({ doc }: OpenDocument, text: string): void => doc.getText('body').insert(0, text);

/** A device that has pulled an empty document `a`. */
async function online(disk = new MemoryDisk()) {
  const made = await makeDevice({ disk });
  made.transport.server.changeItself('a', { epoch: 1 });
  made.client.start();
  await quiet();
  const clock = new HandClock();
  const opened = openDocument(made.notes, 'a', { clock });
  await opened.whenLoaded;
  const replaced: Replaced[] = [];
  opened.onReplaced((each) => replaced.push(each));
  return { ...made, clock, opened, replaced };
}

describe('an open document', () => {
  it('stores what was typed in a moment as one increment, and pushes it', async () => {
    const { opened, clock, client, transport } = await online();
    for (const letter of 'olleh') type(opened, letter);
    expect(opened.status).toEqual({ state: 'open', isPending: true, problem: null });
    clock.advance(499);
    await quiet();
    expect(transport.count('push')).toBe(0);
    clock.advance(1);
    await quiet();
    expect(transport.server.applied).toHaveLength(1);
    expect(textOf(transport.server.documentOf('a') ?? new Y.Doc())).toBe('hello');
    transport.news();
    await quiet();
    expect(opened.status).toEqual({ state: 'open', isPending: false, problem: null });
    await opened.destroy();
    type(opened, 'nobody hears ');
    await client.close();
    expect([opened.status.state, clock.waiting]).toEqual(['closed', 0]);
  });

  it('is shown in another client of the store, without a network, and after a restart', async () => {
    const disk = new MemoryDisk();
    const { opened, client } = await online(disk);
    client.forceOffline();
    type(opened, 'in a tunnel');
    await opened.destroy();
    await client.close();
    const again = await makeDevice({ disk });
    const doc = new Y.Doc();
    const reopened = openDocument(again.notes, 'a', { doc });
    await reopened.whenLoaded;
    expect(textOf(doc)).toBe('in a tunnel');
    expect(reopened.status.isPending).toBe(true);
  });

  it('stores what was typed when the client is closed, in every document, also while it is', async () => {
    const disk = new MemoryDisk();
    const { opened, client, notes } = await online(disk);
    const unread = openDocument(notes, 'a');
    const unknown = openDocument(notes, 'nobody has it');
    client.forceOffline();
    type(opened, 'just ');
    type(unread, 'before ');
    const closing = client.close();
    let typed = 0;
    for (let turn = 0; turn < 30 && opened.status.state === 'open'; turn += 1) {
      type(opened, 'typed ');
      typed += 1;
      await Promise.resolve();
    }
    await closing;
    type(opened, 'too late ');
    expect([opened, unread, unknown].map(({ status }) => status.state)).toEqual(Array(3).fill('closed'));
    const { notes: again } = await makeDevice({ disk });
    const reopened = openDocument(again, 'a');
    await reopened.whenLoaded;
    const words = textOf(reopened.doc).trim().split(' ').sort();
    expect(words).toEqual(['before', 'just', ...Array<string>(typed).fill('typed')]);
  });

  it('is told by the end of the client that something typed was not stored, and ends with it', async () => {
    const { opened, client } = await online();
    type(opened, 'x'.repeat(400_000));
    await expect(client.close()).rejects.toMatchObject({ code: 'data_too_large' });
    await expect(opened.flush()).resolves.toBeUndefined();
    expect(() => client.start()).toThrow('closed');
  });

  it.each(['cleared', 'damaged'] as const)(
    'goes on as it is where the store was %s, also without a network',
    async (what) => {
      const disk = new MemoryDisk();
      const { opened, replaced, client, notes, transport } = await online(disk);
      type(opened, '1');
      await opened.flush();
      await quiet();
      client.forceOffline();
      type(opened, '2');
      if (what === 'cleared') await new MemoryStore(disk).clear();
      else disk.tables.set('entity', new Map([[entityKey(SCOPE, 'conflict', 'c'), 'no JSON']]));
      await client.conflicts();
      await notes.parts.local.catchUp();
      type(opened, '3');
      await opened.flush();
      expect([opened.status.state, client.status.pending > 0]).toEqual(['open', true]);
      client.forceOffline(false);
      await quiet();
      transport.news();
      await quiet();
      expect(textOf(transport.server.documentOf('a') ?? new Y.Doc())).toBe('321');
      expect([textOf(opened.doc), opened.status.isPending, replaced]).toEqual(['321', false, []]);
    },
  );

  it('is absent where its increments are damaged when it is opened first, and ends with its client', async () => {
    const disk = new MemoryDisk();
    const { opened, client } = await online(disk);
    type(opened, 'stored');
    await opened.flush();
    await quiet();
    await client.close();
    const rows = disk.tables.get('document');
    expect(rows?.size).toBeGreaterThan(0);
    for (const key of rows?.keys() ?? []) rows?.set(key, 'no JSON');
    const again = await makeDevice({ disk });
    const reopened = openDocument(again.notes, 'a', { clock: new HandClock() });
    type(reopened, 'typed');
    await quiet();
    expect(reopened.status.state).toBe('absent');
    await again.client.close();
  });

  it.each(['came again without it', 'was taken away'])(
    'is absent where the store was begun anew, and all %s',
    async (how) => {
      const { opened, notes, transport } = await online();
      type(opened, 'seen');
      await opened.flush();
      await quiet();
      transport.fail = () => OFFLINE;
      await notes.parts.local.rebuild();
      await quiet();
      expect(opened.status.state).toBe('open');
      if (how === 'was taken away') transport.server.revoke();
      else transport.server.changeItself('a', null);
      // A full resync tells nothing of what is deleted (PULL-3).
      transport.change = ({ path }, body) =>
        path.endsWith('pull') ? withoutDeltas(body as PullResponse) : body;
      transport.fail = () => null;
      notes.parts.local.onRebuilt();
      await quiet();
      expect(opened.status.state).toBe('absent');
    },
  );

  it('is replaced where an increment was refused, and goes on without it', async () => {
    const { opened, replaced, client, transport } = await online();
    transport.decide = () => 'rejected';
    type(opened, 'refused');
    await opened.flush();
    await quiet();
    expect(replaced.map(({ reason, doc, previous }) => [reason, textOf(doc), textOf(previous)])).toEqual([
      ['refused', '', 'refused'],
    ]);
    expect(opened.doc).toBe(replaced[0]?.doc);
    expect((await client.outcomes()).map(({ mutation }) => mutation?.op)).toEqual(['merge']);
    transport.decide = () => 'applied';
    type(opened, 'taken');
    await opened.flush();
    await quiet();
    expect(textOf(transport.server.documentOf('a') ?? new Y.Doc())).toBe('taken');
    expect(replaced).toHaveLength(1);
  });

  it('is replaced by a new epoch, which takes nothing of what was typed before it', async () => {
    const { opened, replaced, client, transport } = await online();
    type(opened, 'old');
    transport.server.changeItself('a', { epoch: 2 });
    transport.news();
    await quiet();
    expect(replaced.map(({ reason, previous }) => [reason, textOf(previous)])).toEqual([
      ['new_epoch', 'old'],
    ]);
    await opened.flush();
    await quiet();
    expect((await client.outcomes()).map(({ outcome }) => outcome.status)).toEqual(['rejected']);
    expect([textOf(opened.doc), replaced.length]).toEqual(['', 1]);
  });

  it('is absent when it was deleted: nothing typed after that is stored, and it may return', async () => {
    const { opened, replaced, transport } = await online();
    type(opened, 'seen');
    await opened.flush();
    await quiet();
    transport.server.changeItself('a', null);
    transport.news();
    await quiet();
    expect(opened.status).toEqual({ state: 'absent', isPending: false, problem: null });
    type(opened, 'too late');
    await opened.flush();
    await quiet();
    expect([transport.server.applied.length, opened.status.isPending]).toEqual([1, false]);
    transport.server.changeItself('a', { epoch: 2 });
    transport.news();
    await quiet();
    expect(replaced.map(({ reason, doc }) => [reason, textOf(doc)])).toEqual([['returned', '']]);
    expect(opened.status.state).toBe('open');
  });

  it('refuses a transaction that is longer than an update may be, and shows what stands', async () => {
    const { opened, replaced, transport } = await online();
    type(opened, 'short');
    await opened.flush();
    await quiet();
    type(opened, 'x'.repeat(400_000));
    await expect(opened.flush()).rejects.toMatchObject({ code: 'data_too_large' });
    expect(replaced.map(({ reason, doc }) => [reason, textOf(doc)])).toEqual([['too_large', 'short']]);
    expect(transport.server.applied).toHaveLength(1);
  });

  it('says that it could not be read, of a client that was closed', async () => {
    const { client, notes } = await makeDevice();
    await client.close();
    const opened = openDocument(notes, 'a');
    await expect(opened.whenLoaded).rejects.toMatchObject({ code: 'closed' });
    expect(opened.status).toMatchObject({ state: 'loading', problem: { code: 'closed' } });
  });
});

it.each(['entity', 'document'] as const)(
  'is read again where the rows of %s could not be read at first, and keeps what was typed',
  async (table) => {
    const disk = new MemoryDisk();
    const { opened, client } = await online(disk);
    client.forceOffline();
    type(opened, 'before ');
    await opened.destroy();
    await client.close();
    const store = new MemoryStore(disk);
    const list = store.list.bind(store);
    const failing = new Set<string>([table]);
    store.list = async (name, prefix) => {
      if (failing.delete(name)) throw new StorageError('failed', 'told to fail by the test');
      return list(name, prefix);
    };
    const again = await makeDevice({ store });
    const clock = new HandClock();
    const reopened = openDocument(again.notes, 'a', { clock });
    await expect(reopened.whenLoaded).rejects.toMatchObject({ code: 'failed' });
    expect(reopened.status).toMatchObject({ state: 'loading', problem: { code: 'failed' } });
    type(reopened, 'after ');
    clock.advance(10_000);
    await quiet();
    expect([textOf(reopened.doc).length, reopened.status.problem]).toEqual([13, null]);
    expect(again.client.status.pending).toBe(2);
    await again.client.close();
  },
);

it('keeps what a full store did not take, in its order, and stores it later', async () => {
  const one = await typing();
  one.type(0, 1);
  one.device.store.failCommits('full');
  one.clock.advance(500);
  await quiet();
  expect(one.open.status).toMatchObject({ isPending: true, problem: { code: 'full' } });
  one.type(1, 2);
  one.clock.advance(10_000);
  await quiet();
  expect(one.open.status).toMatchObject({ isPending: true, problem: null });
  await one.start();
  expect(one.numbers).toEqual([1, 2]);
});

it('is replaced once, although what was typed meanwhile is refused as well', async () => {
  const one = await typing();
  const replaced: Replaced[] = [];
  one.open.onReplaced((each) => replaced.push(each));
  one.type(0, 1);
  await one.flush();
  one.type(1, 2);
  await one.device.push(() => 'rejected');
  await quiet();
  one.clock.advance(500);
  await quiet();
  expect([one.device.local.mirror.outbox.queuedCount, replaced.length]).toEqual([1, 1]);
  expect(one.open.doc.store.pendingStructs).toBeNull();
  await one.device.push(() => 'applied');
  await quiet();
  expect([one.device.server.refused.size, replaced.length, one.numbers]).toEqual([2, 1, []]);
});

it('joins what is typed to what was not sent yet, and to nothing else', async () => {
  const one = await typing();
  const { outbox } = one.device.local.mirror;
  const flush = async (number: number): Promise<void> => {
    one.type(number, number);
    await one.flush();
  };
  for (let number = 0; number < 100; number += 1) await flush(number);
  expect(outbox.queuedCount).toBe(1);
  const [first] = outbox.queued();
  // The answer does not arrive.
  await one.device.push(() => 'applied', true);
  await flush(100);
  await flush(101);
  expect([outbox.queuedCount, outbox.of(first?.mutation.mutationId ?? '')]).toEqual([2, first]);
  await one.start();
  await flush(102);
  await flush(103);
  expect(one.device.local.mirror.outbox.queuedCount).toBe(3);
  await one.device.settle();
  await quiet();
  expect(one.numbers).toEqual(Array.from({ length: 104 }, (_each, number) => number));
  expect([one.device.server.applied.length, one.device.server.changed.size]).toEqual([3, 0]);
});

it('joins nothing to what was made before its person saw what others did', async () => {
  const one = await typing();
  one.type(0, 1);
  await one.flush();
  one.device.server.changeItself('a', { epoch: 1, title: 'changed' });
  await one.device.pull(10);
  await quiet();
  one.type(0, 2);
  await one.flush();
  const clocks = [...one.device.local.mirror.outbox.queued()].map(({ mutation }) => mutation.baseClock);
  expect(clocks).toEqual([{ 's:owner': 1 }, { 's:owner': 2, 'd:one': 1 }]);
});

it('stores long typing in a few increments, each written anew while it is short', async () => {
  const one = await typing();
  const body = one.open.doc.getText('long');
  for (let word = 0; word < 60; word += 1) {
    body.insert(body.length, 'x'.repeat(500));
    await one.open.flush();
  }
  const lengths = [...one.device.local.mirror.outbox.queued()].map(({ mutation }) => mutation.update?.length);
  expect(lengths.length).toBeLessThan(6);
  expect(lengths.every((length = 0) => length < 11_000)).toBe(true);
  await one.device.settle();
  expect(one.device.server.documentOf('a')?.getText('long').length).toBe(30_000);
});

it('joins nothing that is typed in another document to what was made before it', async () => {
  const one = await typing();
  const local = one.device.local;
  one.type(0, 1);
  await one.flush();
  await one.device.push(() => 'accepted');
  one.type(1, 2);
  await one.flush();
  const [before] = local.mirror.outbox.queued();
  await storePush(local, { serverTime: '', outcomes: [refusalOf(local)] }, '2026-01-01T00:00:00.000Z');
  await quiet();
  one.type(0, 3);
  await one.flush();
  expect([...local.mirror.outbox.queued()].map((entry) => entry === before)).toEqual([true, false]);
  await one.device.settle();
  expect(one.numbers).toEqual([3]);
});

/** Of the increment that was accepted. */
function refusalOf({ mirror }: LocalState): Outcome {
  const accepted = [...mirror.outbox.all()].find(({ state }) => state === 'accepted');
  return { mutationId: accepted?.mutation.mutationId ?? '', status: 'rejected', code: 'data_invalid' };
}

it('shows what was merged also before a pull has brought it, after a restart', async () => {
  const one = await typing();
  one.type(0, 1);
  await one.flush();
  await one.device.push(() => 'merged');
  await one.device.ack();
  await one.start();
  expect([one.numbers, one.open.status.isPending]).toEqual([[1], true]);
  await one.device.pull(10);
  await quiet();
  expect([one.numbers, one.open.status.isPending]).toEqual([[1], false]);
});
