import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withFileLock } from './file-lock.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sync-lock-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('withFileLock', () => {
  it('lets one at a time in, also after a failure', async () => {
    let inside = 0;
    const work = async (): Promise<number> => {
      inside += 1;
      expect(inside).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      throw new Error('fails');
    };
    const enter = (): Promise<unknown> => withFileLock(join(folder, 'one'), 10_000, work);
    const results = await Promise.allSettled([enter(), enter(), enter()]);
    expect(results.map((result) => String(result.status === 'rejected' && result.reason))).toEqual(
      Array(3).fill('Error: fails'),
    );
  });

  it('takes over the lock of a process that is gone', async () => {
    const lock = join(folder, 'stale');
    await writeFile(lock, '999999999');
    expect(await withFileLock(lock, 10_000, () => Promise.resolve('in'))).toBe('in');
  });

  it('does not wait for ever', async () => {
    const lock = join(folder, 'held');
    await writeFile(lock, String(process.pid));
    await expect(withFileLock(lock, 1, () => Promise.resolve())).rejects.toThrow('has held');
  });

  it('reports a folder it cannot write instead of waiting', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(withFileLock(join(folder, 'file/lock'), 10_000, () => Promise.resolve())).rejects.toThrow();
  });
});
