import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withFileLock } from '@sync/postgres/testing';

const COMPILE_TIMEOUT_MS = 120_000;

/**
 * Compiles all projects unless nothing changed since the last time. Compiling empties the `dist` folders, so
 * a second stack (a test run beside a running one) must not do it for nothing.
 *
 * @returns whether anything was compiled
 * @throws Error with the compiler's output
 */
export async function compileWorkspace(root: string): Promise<boolean> {
  const stampFile = join(root, '.cache/compiled');
  return withFileLock(join(root, '.cache/compile.lock'), COMPILE_TIMEOUT_MS, async () => {
    const before = await fingerprint(root);
    if ((await readFile(stampFile, 'utf8').catch(() => '')) === before) return false;
    await promisify(execFile)(process.execPath, [join(root, 'tools/build/build.mjs')], { cwd: root });
    await mkdir(join(root, '.cache'), { recursive: true });
    // Taken again: it also tells which compiled folders exist, and compiling changed that.
    await writeFile(stampFile, await fingerprint(root));
    return true;
  });
}

/** Names, sizes and times of all sources, and whether each project has its compiled files. */
async function fingerprint(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const group of ['libs', 'apps', 'e2e', 'tools/build']) {
    const entries = await readdir(join(root, group), { withFileTypes: true, recursive: false });
    for (const entry of entries) {
      const source = entry.isDirectory()
        ? join(root, group, entry.name, 'src')
        : join(root, group, entry.name);
      if (!existsSync(source)) continue;
      if (entry.isDirectory()) hash.update(String(existsSync(join(source, '../dist'))));
      await addToHash(hash, source);
    }
  }
  return hash.digest('hex');
}

async function addToHash(hash: ReturnType<typeof createHash>, path: string): Promise<void> {
  const found = await stat(path);
  if (!found.isDirectory()) {
    hash.update(`${path} ${found.size} ${found.mtimeMs}\n`);
    return;
  }
  for (const name of (await readdir(path)).sort()) await addToHash(hash, join(path, name));
}
