import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeReference } from './write-reference.ts';

const ROOT = resolve(import.meta.dirname, '../..');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sync-reference-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

it('says what all that the packages for others export is for, and its links lead somewhere', async () => {
  expect(await writeReference(ROOT, folder)).toEqual([]);
  const page = await readFile(join(folder, 'interfaces/_sync_client.SyncClient.html'), 'utf8');
  expect(page).toContain('Decides an open conflict');
  await access(join(folder, 'index.html'));
}, 120_000);
