import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveChromium } from './resolve-chromium.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sync-chromium-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function program(path: string, exitCode: number): Promise<string> {
  const file = join(folder, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `#!/bin/sh\nexit ${exitCode}\n`);
  await chmod(file, 0o755);
  return file;
}

describe('resolveChromium', () => {
  it('takes what CHROMIUM_BIN names, or says what is wrong with it', async () => {
    const named = await program('named/browser', 0);
    expect(await resolveChromium({ env: { CHROMIUM_BIN: named } })).toBe(named);
    const missing = resolveChromium({ env: { CHROMIUM_BIN: join(folder, 'nowhere') } });
    await expect(missing).rejects.toThrow('nowhere, which is not an executable file');
  });

  it('passes over a program on PATH that does not start', async () => {
    await program('stub/chromium', 1);
    const real = await program('real/google-chrome', 0);
    const env = { PATH: [join(folder, 'stub'), join(folder, 'real')].join(':') };
    expect(await resolveChromium({ env })).toBe(real);
  });

  it('takes what was fetched before', async () => {
    const cached = await program('cache/chromium', 0);
    expect(await resolveChromium({ env: {}, cacheFolder: join(folder, 'cache') })).toBe(cached);
  });

  it('says what helps where nothing can be fetched', async () => {
    const env = { PATH: join(folder, 'empty') };
    const resolving = resolveChromium({ env, cacheFolder: join(folder, 'other') });
    await expect(resolving).rejects.toThrow('set CHROMIUM_BIN to the program');
  });
});
