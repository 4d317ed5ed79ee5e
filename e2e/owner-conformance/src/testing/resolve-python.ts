import { execFile } from 'node:child_process';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isExecutable, unpackDebianPackages, withFileLock } from '@sync/postgres/testing';

const execute = promisify(execFile);

/** Where an unpacked Python is. */
const CACHE_FOLDER = resolve(import.meta.dirname, '../../../../.cache/python');
const LOCK_TIMEOUT_MS = 5 * 60_000;
/** What the service needs; a small Python may lack SQLite. */
const TRIES = 'import sqlite3, sys; sys.exit(sys.version_info < (3, 9))';

/** What {@link resolvePython} looks at; everything can be given, for tests. */
export interface ResolvePythonOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cacheFolder?: string;
  /** dpkg's list of what is installed; an empty file makes apt fetch every library. */
  readonly dpkgStatus?: string;
}

/**
 * A Python 3.9 or newer with SQLite: `PYTHON_BIN`, else `python3` on PATH, else the one in the cache folder,
 * which is filled from Debian's packages on first use (50 MB).
 * @throws Error that says what helps
 */
export async function resolvePython(options: ResolvePythonOptions = {}): Promise<string> {
  const { env = process.env, cacheFolder = CACHE_FOLDER, dpkgStatus } = options;
  for (const program of [env['PYTHON_BIN'] ?? '', 'python3'])
    if (program !== '' && (await serves(program, env))) return program;
  const cached = join(cacheFolder, 'python3');
  return withFileLock(join(cacheFolder, 'download.lock'), LOCK_TIMEOUT_MS, async () => {
    if (isExecutable(cached)) return cached;
    const packages = { packages: ['python3'], folder: cacheFolder, dpkgStatus };
    const { root, libraries } = await unpackDebianPackages(packages).catch((cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      const help = 'Install Python 3.9 or newer, or set PYTHON_BIN to the program';
      throw new Error(`No Python found. ${help}.\nTrying to fetch Debian's packages: ${detail}`, { cause });
    });
    const script = `#!/bin/sh
export LD_LIBRARY_PATH="${libraries.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONHOME="${root}/usr"
exec "${root}/usr/bin/python3" "$@"
`;
    // Renamed when it is whole: nobody ever starts half a program.
    await writeFile(`${cached}.new`, script);
    await chmod(`${cached}.new`, 0o755);
    await execute(`${cached}.new`, ['-c', TRIES]);
    await rename(`${cached}.new`, cached);
    return cached;
  });
}

function serves(program: string, env: ResolvePythonOptions['env']): Promise<boolean> {
  return execute(program, ['-c', TRIES], { env: { ...env }, timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
