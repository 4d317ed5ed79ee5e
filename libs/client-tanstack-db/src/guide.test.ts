import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import type { Collection } from '@tanstack/db';
import type { SyncCollectionUtils } from './index.ts';
import { type App, SmallWorld } from './testing/small-world.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Inside the workspace, so that `@sync/*` resolves as it does for a reader. */
const FOLDER = join(ROOT, '.cache', `tanstack-guide-${process.pid}`);

afterAll(async () => rm(FOLDER, { recursive: true, force: true }));

interface Opened {
  readonly notes: Collection<object, string, SyncCollectionUtils>;
  readonly folders: Collection<object, string, SyncCollectionUtils>;
  readonly open: Collection<{ id: string; text: string; folder: string }, string>;
  readonly finish: (id: string) => Parameters<SyncCollectionUtils['wait']>[0];
}

it('does what the guide shows', async () => {
  const guide = await readFile(join(ROOT, 'docs/guides/build-an-app.md'), 'utf8');
  const [, section = ''] = guide.split('## 7. Live queries with TanStack DB');
  const [, code = ''] = /```ts\n(.*?)```/s.exec(section) ?? [];
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(25);
  await mkdir(FOLDER, { recursive: true });
  const file = join(FOLDER, 'notes.ts');
  await writeFile(file, code);
  const { openNotes } = (await import(file)) as { openNotes: (client: App) => Opened };

  const world = new SmallWorld();
  world.name('f', { name: 'Books' });
  world.change('a', { text: 'chapter 3', folderId: 'f', isDone: false });
  const app = await world.open();
  const { notes, folders, open, finish } = openNotes(app);
  await Promise.all([open.preload(), notes.preload(), folders.preload()]);
  app.start();
  await notes.utils.wait(notes.insert({ id: 'b', text: 'chapter 4', folderId: 'f', isDone: false }), 'seen');
  expect(open.toArray).toMatchObject([
    { id: 'a', text: 'chapter 3', folder: 'Books' },
    { id: 'b', text: 'chapter 4', folder: 'Books' },
  ]);
  await notes.utils.wait(finish('a'), 'seen');
  expect(open.toArray).toMatchObject([{ id: 'b', text: 'chapter 4', folder: 'Books' }]);
  await app.close();
});
