import { afterEach, describe, expect, it } from '@jest/globals';
import { type Store } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { FaultyStore } from '@sync/client/testing';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import {
  BasicIndex,
  createCollection,
  createLiveQueryCollection,
  createTransaction,
  eq,
  localOnlyCollectionOptions,
} from '@tanstack/db';
import { storeTransaction, syncCollectionOptions } from './index.ts';
import { type App, type Note, SmallWorld } from './testing/small-world.ts';

const open: App[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

/** An app with its two collections and a live query with a join over them. */
async function start(world = new SmallWorld(), store?: Store) {
  const app = await world.open(store);
  open.push(app);
  const notes = createCollection(syncCollectionOptions({ client: app, entityType: 'note' }));
  notes.createIndex(({ folderId }) => folderId, { indexType: BasicIndex });
  const folders = createCollection(syncCollectionOptions({ client: app, entityType: 'folder' }));
  await Promise.all([notes.preload(), folders.preload()]);
  return { world, app, notes, folders };
}

function seen(rows: { toArray: readonly object[] }): object[] {
  return rows.toArray.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('$'))),
  );
}

/** Ends when it is so; what is awaited comes with some announced change of the collection. */
async function until(
  rows: {
    subscribeChanges: (
      listener: () => void,
      options: { includeInitialState: true },
    ) => { unsubscribe: () => void };
  },
  isSo: () => boolean,
): Promise<void> {
  if (isSo()) return;
  let stop: () => void = () => undefined;
  await new Promise<void>((resolve) => {
    // A subscriber hears nothing of the end of a row that it was never told of.
    const subscription = rows.subscribeChanges(
      () => {
        if (isSo()) resolve();
      },
      { includeInitialState: true },
    );
    stop = () => subscription.unsubscribe();
  });
  stop();
}

const NOTE: Note = { text: 'one', folderId: 'f' };

describe('a collection on the SDK', () => {
  it('answers a live query with a filter and a join from what others and this device write', async () => {
    const { world, app, notes, folders } = await start();
    app.start();
    const query = createLiveQueryCollection((q) =>
      q
        .from({ note: notes })
        .join({ folder: folders }, ({ note, folder }) => eq(note.folderId, folder.id), 'inner')
        .where(({ note }) => eq(note.isDone, false))
        .select(({ note, folder }) => ({ id: note.id, text: note.text, folder: folder.name })),
    );
    await query.preload();
    world.change('theirs', { ...NOTE, isDone: false });
    world.change('done', { ...NOTE, isDone: true });
    notes.insert({ id: 'mine', text: 'two', folderId: 'f', isDone: false });
    world.name('f', { name: 'Books' });
    await until(query, () => query.size === 2);
    expect(seen(query)).toEqual(
      expect.arrayContaining([
        { id: 'theirs', text: 'one', folder: 'Books' },
        { id: 'mine', text: 'two', folder: 'Books' },
      ]),
    );
    folders.update('f', (folder) => void (folder.name = 'Papers'));
    notes.update('mine', (note) => void (note.isDone = true));
    await until(query, () => query.size === 1 && query.toArray[0]?.folder === 'Papers');
    expect(seen(query)).toEqual([{ id: 'theirs', text: 'one', folder: 'Papers' }]);
    world.name('f', null);
    await until(query, () => query.size === 0);
  });

  it('sends puts, patches with what has changed, and deletes, in the order of a transaction', async () => {
    const { world, app, notes, folders } = await start();
    const transaction = createTransaction({ mutationFn: storeTransaction });
    transaction.mutate(() => {
      folders.insert({ id: 'f', name: 'Books' });
      notes.insert([
        { id: 'a', ...NOTE },
        { id: 'b', ...NOTE },
      ]);
    });
    await transaction.when('settled');
    notes.update(['a', 'b'], (drafts) => drafts.forEach((draft, at) => (draft.text = `text ${at}`)));
    notes.delete('b');
    app.start();
    const last = notes.update('a', (draft) => void (draft.isDone = true));
    await notes.utils.wait(last, 'seen');
    expect(world.pushed.map(({ op, entityId, scope, data }) => ({ op, entityId, scope, data }))).toEqual([
      { op: 'put', entityId: 'f', scope: 'team:t', data: { name: 'Books' } },
      { op: 'put', entityId: 'a', scope: 'user:u', data: NOTE },
      { op: 'put', entityId: 'b', scope: 'user:u', data: NOTE },
      { op: 'patch', entityId: 'a', scope: 'user:u', data: { text: 'text 0' } },
      { op: 'patch', entityId: 'b', scope: 'user:u', data: { text: 'text 1' } },
      { op: 'delete', entityId: 'b', scope: 'user:u', data: undefined },
      { op: 'patch', entityId: 'a', scope: 'user:u', data: { isDone: true } },
    ]);
  });

  it('takes a field away with a put of the whole', async () => {
    const { world, app, notes } = await start();
    app.start();
    notes.insert({ id: 'a', ...NOTE, isDone: true });
    await notes.utils.wait(
      notes.update('a', (draft) => {
        delete draft.isDone;
      }),
      'seen',
    );
    expect(world.notes.data).toEqual(new Map([['a', NOTE]]));
    expect(seen(notes)).toEqual([{ id: 'a', ...NOTE }]);
  });

  it('tells each change once while a write becomes one of the server, and takes none back', async () => {
    const { app, notes } = await start();
    const told: string[] = [];
    notes.subscribeChanges((changes) => {
      for (const { type, value } of changes)
        told.push(`${type} ${value.text} ${value.$hasPendingWrites ? 'unstored' : 'stored'}`);
    });
    app.start();
    await notes.utils.wait(notes.insert({ id: 'a', ...NOTE }), 'seen');
    await notes.utils.wait(
      notes.update('a', (draft) => void (draft.text = 'two')),
      'seen',
    );
    await notes.utils.wait(notes.delete('a'), 'seen');
    expect(told).toEqual([
      'insert one unstored',
      'update one stored',
      'update two unstored',
      'update two stored',
      'delete two stored',
    ]);
  });

  it('shows what others change while a write of another row waits for its service', async () => {
    const { world, app, notes } = await start();
    world.decide = () => 'accepted';
    app.start();
    const slow = notes.insert({ id: 'slow', ...NOTE });
    await notes.utils.wait(slow, 'accepted');
    world.change('other', { ...NOTE, text: 'theirs' });
    await until(notes, () => notes.has('other'));
    expect(notes.utils.pending()).toEqual(['slow']);
    expect(seen(notes)).toEqual(
      expect.arrayContaining([
        { id: 'slow', ...NOTE },
        { id: 'other', ...NOTE, text: 'theirs' },
      ]),
    );
  });

  it('works offline over a restart with a full outbox, and doubles nothing', async () => {
    const world = new SmallWorld();
    world.change('theirs', NOTE);
    const before = await start(world);
    before.app.start();
    await until(before.notes, () => before.notes.has('theirs'));
    world.disconnect(before.app);
    before.notes.insert({ id: 'mine', ...NOTE, text: 'offline' });
    await before.notes.update('theirs', (draft) => void (draft.text = 'changed')).when('settled');
    await before.app.close();

    const { app, notes } = await start(world);
    const rows = [
      { id: 'theirs', ...NOTE, text: 'changed' },
      { id: 'mine', ...NOTE, text: 'offline' },
    ];
    expect(seen(notes)).toEqual(expect.arrayContaining(rows));
    expect(notes.size).toBe(2);
    expect(notes.utils.pending().sort()).toEqual(['mine', 'theirs']);
    const last = notes.update('mine', (draft) => void (draft.isDone = true));
    world.connect(app);
    app.start();
    await notes.utils.wait(last, 'seen');
    expect(notes.utils.pending()).toEqual([]);
    expect(world.notes.data).toEqual(
      new Map([
        ['theirs', { ...NOTE, text: 'changed' }],
        ['mine', { ...NOTE, text: 'offline', isDone: true }],
      ]),
    );
  });

  it('takes back what the server refuses, and keeps its outcome', async () => {
    const { world, app, notes, folders } = await start();
    world.decide = ({ entityId }) => (entityId === 'bad' ? 'rejected' : 'applied');
    world.change('bad', NOTE);
    app.start();
    await until(notes, () => notes.has('bad'));
    const bad = notes.update('bad', (draft) => void (draft.text = 'refused'));
    notes.insert({ id: 'good', ...NOTE });
    await expect(notes.utils.wait(bad, 'applied')).rejects.toMatchObject({ code: 'not_applied' });
    await until(notes, () => notes.get('bad')?.text === NOTE.text);
    expect(notes.size).toBe(2);
    const [row, ...others] = await notes.utils.outcomes();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ outcome: { status: 'rejected' }, mutation: { data: { text: 'refused' } } });
    expect(await folders.utils.outcomes()).toEqual([]);
    expect(await notes.utils.conflicts()).toEqual([]);
  });

  it('shows what a write was merged to', async () => {
    const { world, app, notes } = await start();
    world.decide = () => 'merged';
    world.notes.changeItself('a', { text: 'theirs', folderId: 'f' });
    const insert = notes.insert({ id: 'a', text: 'mine', folderId: 'f', isDone: true });
    expect(seen(notes)).toEqual([{ id: 'a', text: 'mine', folderId: 'f', isDone: true }]);
    app.start();
    const [outcome] = await notes.utils.wait(insert, 'seen');
    expect(outcome?.status).toBe('merged');
    expect(seen(notes)).toEqual([{ id: 'a', text: 'theirs', folderId: 'f', isDone: true }]);
  });

  it('shows no longer what the device could not store, and says why', async () => {
    const store = new FaultyStore(new MemoryStore());
    const { notes } = await start(new SmallWorld(), store);
    await notes.insert({ id: 'a', ...NOTE }).when('settled');
    store.failCommits('full');
    const transaction = notes.update('a', (draft) => void (draft.text = 'two'));
    expect(seen(notes)).toEqual([{ id: 'a', ...NOTE, text: 'two' }]);
    await expect(notes.utils.wait(transaction, 'stored')).rejects.toMatchObject({ code: 'full' });
    expect(seen(notes)).toEqual([{ id: 'a', ...NOTE }]);
    await expect(transaction.when('settled')).rejects.toMatchObject({ code: 'full' });
  });

  it('says that a store cannot be read', async () => {
    const store = new FaultyStore(new MemoryStore());
    const app = await new SmallWorld().open(store);
    open.push(app);
    const broken = new Error('cannot be read');
    app.entity('note').load = async () => Promise.reject(broken);
    const notes = createCollection(syncCollectionOptions({ client: app, entityType: 'note' }));
    await expect(notes.preload()).rejects.toBe(broken);
    expect(notes.status).toBe('error');
  });

  it('shows one scope where it is told to, and writes there', async () => {
    const { world, app } = await start();
    const scope = 'team:t';
    const teams = createCollection(syncCollectionOptions({ client: app, entityType: 'note', scope }));
    await teams.preload();
    const all = app.entity('note');
    await all.put('private', NOTE);
    await teams.insert({ id: 'ours', ...NOTE }).when('settled');
    expect(all.get('ours')?.scope).toBe(scope);
    expect([...teams.keys()]).toEqual(['ours']);
    expect(teams.utils.pending()).toEqual(['ours']);
    await teams.insert({ id: 'theirs', ...NOTE }, { metadata: { scope: 'user:u' } }).when('settled');
    expect([...teams.keys()]).toEqual(['ours']);
    expect(world.pushed).toEqual([]);
  });

  it('takes the id from the data where it stands there, and checks rows with a schema', async () => {
    const { app } = await start();
    const schema: StandardSchemaV1<Note, Note> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          (value as Note).text.length > 0
            ? { value: value as Note }
            : { issues: [{ message: 'is empty', path: ['text'] }] },
      },
    };
    const notes = createCollection(
      syncCollectionOptions({ client: app, entityType: 'note', schema, getKey: ({ text }) => text }),
    );
    await notes.preload();
    expect(() => notes.insert({ ...NOTE, text: '' })).toThrow('is empty');
    await notes.insert(NOTE).when('settled');
    expect(app.entity('note').get('one')?.data).toEqual(NOTE);
    expect(seen(notes)).toEqual([NOTE]);
  });

  it('begins anew after it was cleaned up, and listens to nothing meanwhile', async () => {
    const app = await new SmallWorld().open();
    open.push(app);
    const entities = app.entity('note');
    let listening = 0;
    const subscribe = entities.subscribe.bind(entities);
    entities.subscribe = (listener) => {
      const stop = subscribe(listener);
      listening += 1;
      return () => {
        listening -= 1;
        stop();
      };
    };
    const notes = createCollection(syncCollectionOptions({ client: app, entityType: 'note' }));
    notes.startSyncImmediate();
    await notes.cleanup();
    await entities.load();
    expect(listening).toBe(0);
    await notes.preload();
    expect(listening).toBe(1);
    await notes.insert({ id: 'a', ...NOTE }).when('settled');
    await notes.cleanup();
    expect(listening).toBe(0);
    await entities.put('b', NOTE);
    await notes.preload();
    expect([...notes.keys()].sort()).toEqual(['a', 'b']);
    await entities.put('c', NOTE);
    expect([...notes.keys()].sort()).toEqual(['a', 'b', 'c']);
  });

  it('stores no transaction of a collection that is none of its own', async () => {
    const other = createCollection(
      localOnlyCollectionOptions({ id: 'local', getKey: ({ id }: { id: string }) => id }),
    );
    const transaction = createTransaction({ mutationFn: storeTransaction });
    transaction.mutate(() => other.insert({ id: 'a' }));
    await expect(transaction.when('settled')).rejects.toThrow('local has no syncCollectionOptions');
  });
});
