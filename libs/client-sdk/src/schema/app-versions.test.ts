import { afterEach, describe, expect, it } from '@jest/globals';
import type { PushRequest } from '@sync/protocol';
import { taggedText } from '@sync/protocol/device';
import { makeDevice, quiet } from '../client/testing/make-device.ts';
import type { EntityType } from '../client/entity-type.ts';
import { KEY } from '../local/testing/crashing-device.ts';
import { failure } from '../net/failure.ts';
import { MemoryDisk } from '../storage/memory-store.ts';
import { AppVersions } from './app-versions.ts';

/** A note had a `text`, which is called `title` since version 2; version 3 has tags, in capitals. */
const NOTE: EntityType<object> = {
  schemaVersion: 3,
  upcasters: [
    {
      from: 1,
      steps: [
        { kind: 'rename', field: 'text', to: 'title' },
        { kind: 'default', field: 'tags', value: [] },
      ],
    },
    {
      from: 2,
      lift: (data, op) => {
        const { tags } = data as { tags?: string[] };
        if (op === 'patch' && !tags) return data;
        return { ...data, tags: (tags ?? []).map((tag) => tag.toUpperCase()) };
      },
    },
  ],
};

async function writeWithOldApp(disk: MemoryDisk): Promise<void> {
  const { client, notes, transport } = await makeDevice({ disk });
  transport.server.changeItself('pulled', { text: 'from the server' });
  client.start();
  await quiet();
  transport.fail = () => failure('offline', 'no network');
  await notes.put('written', { text: 'offline', tags: ['a'] });
  await notes.patch('pulled', { text: 'changed offline' });
  await client.close();
}

describe('an app that was updated', () => {
  it('shows what was stored and written before, as its present version has it', async () => {
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const { notes } = await makeDevice({ disk, note: NOTE });
    await notes.load();
    expect(notes.get('pulled')?.data).toEqual({ title: 'changed offline', tags: [] });
    expect(notes.get('written')?.data).toEqual({ title: 'offline', tags: ['A'] });
  });

  it('pushes what was written before in its present version, with a tag of its own', async () => {
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const { client, notes, transport } = await makeDevice({ disk, note: NOTE });
    transport.server.schemaVersion = 3;
    await notes.patch('written', { title: 'with the new app' });
    client.start();
    await quiet();
    const pushed = transport.calls
      .filter(({ path }) => path.endsWith('push'))
      .flatMap(({ body }) => (body as PushRequest).mutations);
    expect(pushed.map(({ data, schemaVersion }) => [data, schemaVersion])).toEqual([
      [{ title: 'offline', tags: ['A'] }, 3],
      [{ title: 'changed offline' }, 3],
      [{ title: 'with the new app' }, 3],
    ]);
    for (const mutation of pushed) expect(mutation.tag).toBe(await KEY.tag(taggedText(mutation)));
    expect([client.status.pending, notes.get('written')?.data]).toEqual([
      0,
      { title: 'with the new app', tags: ['A'] },
    ]);
  });

  it('changes nothing in the store, so that the older app can be used again', async () => {
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const { notes, client } = await makeDevice({ disk, note: NOTE });
    await notes.load();
    await client.close();
    const older = await makeDevice({ disk });
    await older.notes.load();
    expect(older.notes.get('written')?.data).toEqual({ text: 'offline', tags: ['a'] });
  });
});

describe('an app that is older than what it gets', () => {
  it('goes on with what it knows, and says so', async () => {
    const { client, notes, transport } = await makeDevice();
    transport.server.schemaVersion = 2;
    transport.server.changeItself('a', { title: 'from a newer app' });
    await notes.load();
    client.start();
    await quiet();
    expect([notes.get('a')?.data, client.status.newerTypes]).toEqual([
      { title: 'from a newer app' },
      ['note'],
    ]);
    await (await notes.patch('a', { more: 1 })).wait('applied');
    expect(notes.get('a')?.data).toEqual({ title: 'from a newer app', more: 1 });
  });

  it('also of what a newer app has written on this device', async () => {
    const disk = new MemoryDisk();
    const newer = await makeDevice({ disk, note: { schemaVersion: 2 } });
    await newer.notes.put('a', { title: 'from a newer app' });
    await newer.client.close();
    const { client, notes } = await makeDevice({ disk });
    await notes.load();
    expect([notes.get('a')?.data, client.status.newerTypes]).toEqual([
      { title: 'from a newer app' },
      ['note'],
    ]);
  });
});

describe('an upcaster that cannot lift', () => {
  const known = (globalThis as { reportError?: unknown }).reportError;
  afterEach(() => void Object.assign(globalThis, { reportError: known }));

  it('is reported where it throws, and the data is shown and sent as it is', async () => {
    const reported: unknown[] = [];
    Object.assign(globalThis, { reportError: (error: unknown) => reported.push(error) });
    const fault = new Error('of the app');
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const lift = (): never => {
      throw fault;
    };
    const note = { schemaVersion: 2, upcasters: [{ from: 1, lift }] };
    const { client, notes, transport } = await makeDevice({ disk, note });
    client.start();
    await quiet();
    expect((await notes.load()).get('written')?.data).toMatchObject({ text: 'offline' });
    const push = transport.calls.find(({ path }) => path.endsWith('push'))?.body as PushRequest;
    expect(push.mutations[0]).toMatchObject({ data: { text: 'offline' }, schemaVersion: 1 });
    expect(new Set(reported)).toEqual(new Set([fault]));
  });

  it.each([
    ['a promise', async (data: object) => data],
    ['a text', () => 'data'],
    ['a list', () => []],
    ['nothing', () => undefined],
    ['more than a push takes', (data: object) => ({ ...data, text: 'x'.repeat(2_000_000) })],
  ])('sends the data as it is where the function answers with %s', async (_what, lift) => {
    Object.assign(globalThis, { reportError: () => undefined });
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const note = { schemaVersion: 2, upcasters: [{ from: 1, lift: lift as never }] };
    const { client, transport } = await makeDevice({ disk, note });
    client.start();
    await quiet();
    expect(transport.server.data.get('written')).toEqual({ text: 'offline', tags: ['a'] });
  });

  it('shows what the server has in the version of the app, too', async () => {
    const disk = new MemoryDisk();
    await writeWithOldApp(disk);
    const { client } = await makeDevice({ disk, note: NOTE });
    const state = await client.serverState({ entityType: 'note', entityId: 'pulled' });
    expect(state).toMatchObject({ data: { title: 'from the server', tags: [] }, schemaVersion: 3 });
  });

  it.each(['constructor', '__proto__'])('knows of a type %s what the app says, and nothing else', (name) => {
    const fields = { entityType: name, entityId: 'a', clock: {}, committedAt: '', op: 'put' as const };
    const state = { ...fields, schemaVersion: 2, data: { value: 1 } };
    const stranger = new AppVersions({ note: NOTE });
    expect([stranger.dataOf(state), stranger.newerTypes]).toEqual([{ value: 1 }, []]);
    const known = new AppVersions(Object.fromEntries([[name, NOTE]]));
    expect(known.dataOf(state)).toEqual({ value: 1, tags: [] });
  });

  it.each([
    ['leaves a gap', [{ from: 1, steps: [] }], 'nothing lifts 2'],
    ['comes twice', [...(NOTE.upcasters ?? []), { from: 2, steps: [] }], 'has an upcaster already'],
    ['is of the present version', [{ from: 3, steps: [] }], 'needs no upcaster'],
    ['renames to itself', [{ from: 2, steps: [{ kind: 'rename' as const, field: 'a', to: 'a' }] }], 'itself'],
  ])('is refused when the app starts: one that %s', (_what, upcasters, message) => {
    const open = () => new AppVersions({ note: { schemaVersion: 3, upcasters } });
    expect(open).toThrow(
      expect.objectContaining({ code: 'upcasters_invalid', message: expect.stringContaining(message) }),
    );
  });
});
