import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Inside the workspace, so that `@sync/*` resolves as it does for a reader. */
const FOLDER = join(ROOT, '.cache', `testing-guide-${process.pid}`);

afterAll(async () => rm(FOLDER, { recursive: true, force: true }));

it('does what the guide shows', async () => {
  const guide = await readFile(join(ROOT, 'docs/guides/test-your-app.md'), 'utf8');
  const [, code = ''] = /```ts file=notes\.ts\n(.*?)```/s.exec(guide) ?? [];
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(40);
  await mkdir(FOLDER, { recursive: true });
  const file = join(FOLDER, 'notes.ts');
  await writeFile(file, code);
  // It asserts by itself, to the end.
  await import(file);
  expect(code).toContain('client.close()');
});
