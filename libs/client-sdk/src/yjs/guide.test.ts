import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import * as Y from 'yjs';
import { makeDevice, quiet } from '../client/testing/make-device.ts';
import type { OpenDocument } from './index.ts';

const ROOT = resolve(import.meta.dirname, '../../../..');
/** Inside the package, so that `@sync/client` resolves as it does for a reader. */
const FOLDER = resolve(import.meta.dirname, '../../dist', `yjs-guide-${process.pid}`);

afterAll(async () => rm(FOLDER, { recursive: true, force: true }));

it('does what the guide shows', async () => {
  const guide = await readFile(join(ROOT, 'docs/guides/build-an-app.md'), 'utf8');
  const [, section = ''] = guide.split('## 8. Documents');
  const [, code = ''] = /```ts\n(.*?)```/s.exec(section) ?? [];
  await mkdir(FOLDER, { recursive: true });
  const file = join(FOLDER, 'lesson.ts');
  await writeFile(file, code);
  const { openLesson } = (await import(file)) as {
    openLesson: (client: object, id: string, show: (doc: Y.Doc) => void) => Promise<OpenDocument>;
  };

  const { client, notes, transport } = await makeDevice();
  transport.server.changeItself('a', { epoch: 1 });
  client.start();
  await quiet();
  const shown: Y.Doc[] = [];
  const lesson = await openLesson({ entity: () => notes }, 'a', (doc) => shown.push(doc));
  shown[0]?.getText('body').insert(0, 'typed');
  await lesson.flush();
  await quiet();
  expect(transport.server.documentOf('a')?.getText('body').toJSON()).toBe('typed');
  transport.server.changeItself('a', { epoch: 2 });
  transport.news();
  await quiet();
  expect(shown).toEqual([expect.any(Y.Doc), lesson.doc]);
  await lesson.destroy();
  await client.close();
});
