import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '../../../..');
const GUIDE = join(ROOT, 'docs/guides/show-conflicts.md');

/** Runs the app of the guide on a phone that has a conflict. */
const PAGE = `
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

/** @returns the script of a page with the block of the guide as it stands */
export async function bundleGuide(): Promise<string> {
  const [, code = ''] = /```tsx\n(.*?)```/s.exec(await readFile(GUIDE, 'utf8')) ?? [];
  // Inside of the workspace, so that `@sync/*` resolves as it does for a reader.
  const folder = join(ROOT, 'reports', `react-guide-${process.pid}`);
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(join(folder, 'app.tsx'), code);
    await writeFile(join(folder, 'page.tsx'), PAGE);
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
