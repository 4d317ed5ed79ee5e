/** What `npm run bench -- --only client-peers` times is done by each device that needs no other packages. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { idOf, pageTexts } from '@sync/client/testing/device-work';
import { NODE_DEVICES } from './node-devices.ts';
import { type OpenDevice, hold, timeColdStart, timeFirstSync, timeWrites } from './work.ts';

const NOTES = 700;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sync-bench-test-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe.each(['bare-sqlite', 'sync-sqlite', 'rxdb-memory'])('%s', (name) => {
  const open = (): Promise<OpenDevice> => NODE_DEVICES[name]?.(folder) ?? Promise.reject(new Error(name));

  it('takes all pages, and shows and keeps what is written', async () => {
    const device = await hold(open, pageTexts(NOTES));
    const { visibleMs, durableMs } = await timeWrites(device, 3);
    expect([visibleMs.length, durableMs.length]).toEqual([3, 3]);
    const texts = new Set((await device.list()).map(({ text }) => text));
    expect([texts.size, await device.textOf(idOf(2))]).toEqual([NOTES, 'written 2']);
    await device.close();
  });

  it('does not pass with a note too few', async () => {
    const device = await hold(open, pageTexts(NOTES));
    await device.close();
    const expected = pageTexts(NOTES + 1);
    // RxDB in memory has lost them with the process that it would be opened in again.
    const starting = timeColdStart(open, expected);
    await expect(starting).rejects.toThrow(`of ${NOTES + 1} notes are there`);
  });
});

it.each(['bare-sqlite', 'sync-sqlite'])('%s starts on what it has stored', async (name) => {
  const open = (): Promise<OpenDevice> => NODE_DEVICES[name]?.(folder) ?? Promise.reject(new Error(name));
  const pages = pageTexts(NOTES);
  expect(await timeFirstSync(open, pages)).toBeGreaterThan(0);
  expect(await timeColdStart(open, pages)).toBeGreaterThan(0);
});
