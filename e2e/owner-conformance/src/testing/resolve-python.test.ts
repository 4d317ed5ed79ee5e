import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePython } from './resolve-python.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resolve-python-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function program(name: string, exitCode: number): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\nexit ${exitCode}\n`);
  await chmod(file, 0o755);
  return file;
}

describe('resolvePython', () => {
  it('takes what PYTHON_BIN names', async () => {
    const named = await program('named', 0);
    expect(await resolvePython({ env: { PYTHON_BIN: named, PATH: '' } })).toBe(named);
  });

  it('takes what was fetched before, where the others are too old or lack SQLite', async () => {
    const old = await program('old', 1);
    const cached = await program('python3', 0);
    const env = { PYTHON_BIN: old, PATH: join(folder, 'nowhere') };
    expect(await resolvePython({ env, cacheFolder: folder })).toBe(cached);
  });
});
