import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '../../../..');
/** Runs the app of the guide on a phone that has a conflict. */
export const CONFLICT_PAGE = `
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { ConflictWorld } from '../../libs/client-react/src/testing/conflict-world.ts';

const place = document.body.appendChild(document.createElement('main'));
const root = createRoot(place);
root.render(<App client={null} />);
const world = new ConflictWorld();
const app = await world.app;
app.start();
await world.happens();
root.render(<App client={app} />);
`;

/** Shows a document of the guide twice, while somebody else may edit it: `globalThis.world`. */
export const DOCUMENT_PAGE = `
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createSyncClient } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { SyncProvider } from '@sync/client-react';
import { createTestServer } from '@sync/client-testing';
import { documentOf, editDocument, keepDocuments } from '@sync/client-testing/yjs';
import { Lesson } from './app.tsx';

const server = createTestServer({ entities: { lesson: { policy: 'crdt_yjs', documents: keepDocuments() } } });
server.seed('lesson', { l1: { title: 'One' }, l2: { title: 'Two' } }, { scope: 'user:u' });
const phone = server.device({ userId: 'u', deviceId: 'phone' });
const store = new MemoryStore();
const client = await createSyncClient({ ...phone.options, store, entities: { lesson: {} } });
client.start();
const lessons = await client.entity('lesson').load();
await new Promise((resolve) => {
  const look = () => lessons.list().length === 2 && resolve(undefined);
  lessons.subscribe(look);
  look();
});
const root = createRoot(document.body.appendChild(document.createElement('main')));
globalThis.world = {
  show: (...ids) =>
    root.render(
      <StrictMode>
        <SyncProvider client={client}>
          {ids.map((id, at) => <section key={at} id={'place' + at}><Lesson id={id} /></section>)}
        </SyncProvider>
      </StrictMode>,
    ),
  edit: (id, words) => editDocument(server, 'lesson', id, (doc) => doc.getText('body').insert(0, words)),
  replace: (id) => server.change('lesson', id, { title: 'anew', epoch: 2 }),
  textOf: (id) => documentOf(server, 'lesson', id).getText('body').toJSON(),
};
`;

/**
 * @param guide below docs/guides
 * @returns the script of a page with the block of the guide as it stands
 */
export async function bundleGuide(guide: string, page: string): Promise<string> {
  const text = await readFile(join(ROOT, 'docs/guides', guide), 'utf8');
  const [, code = ''] = /```tsx\n(.*?)```/s.exec(text) ?? [];
  // Inside of the workspace, so that `@sync/*` resolves as it does for a reader.
  const folder = join(ROOT, 'reports', `react-guide-${guide}-${process.pid}`);
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(join(folder, 'app.tsx'), code);
    await writeFile(join(folder, 'page.tsx'), page);
    const { outputFiles } = await build({
      ...{ entryPoints: [join(folder, 'page.tsx')], outdir: folder, write: false, bundle: true },
      ...{ format: 'esm', target: 'es2023', conditions: ['source'], logLevel: 'silent' },
    });
    const script = outputFiles.find(({ path }) => path.endsWith('.js'));
    return script?.text ?? '';
  } finally {
    await rm(folder, { recursive: true });
  }
}
