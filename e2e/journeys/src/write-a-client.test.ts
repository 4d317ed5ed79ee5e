import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { printedBy } from './testing/printed-by.ts';

const GUIDE = resolve(import.meta.dirname, '../../../docs/guides/write-a-client.md');
const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'write-a-client-'));
});
afterAll(async () => rm(folder, { recursive: true }));

it('the client of the guide, which is one file without libraries, prints what the guide says', async () => {
  const guide = await readFile(GUIDE, 'utf8');
  const parts = [...guide.matchAll(/```js file=client\.mjs\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  expect(parts).toHaveLength(guide.split('file=client.mjs').length - 1);
  const file = join(folder, 'client.mjs');
  await writeFile(file, parts.join('\n'));
  const env = { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '0' };
  const { stdout } = await run(process.execPath, [file], { env });
  // As the guide says: the first page of a scope may come before anything is in it.
  expect(stdout.replace(/^(digest equal true\n)+/m, 'digest equal true\n')).toBe(printedBy(guide));
});
