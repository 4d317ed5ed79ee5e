import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isExecutable, withFileLock } from '@sync/postgres/testing';

const run = promisify(execFile);

/** Where a downloaded server is kept: `<workspace>/.cache/nats-server`. Works from `src` and from `dist`. */
const CACHE_FOLDER = resolve(import.meta.dirname, '../../../../.cache/nats-server');
const LOCK_TIMEOUT_MS = 180_000;

/** Thrown when there is no nats-server and none can be fetched; the message names the command that helps. */
export class NatsServerMissingError extends Error {
  override readonly name = 'NatsServerMissingError';
}

/** What {@link resolveNatsServer} looks at; everything can be given, for tests. */
export interface ResolveNatsServerOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cacheFolder?: string;
  readonly platform?: NodeJS.Platform;
  /** Told once, before a download that takes seconds. */
  readonly onDownload?: () => void;
}

/**
 * Path of a nats-server: `NATS_SERVER_BIN`, else the one on PATH, else the one in the cache folder, which is
 * filled from the Debian or Ubuntu package on first use. The package is only unpacked, never installed, so no
 * root is needed.
 *
 * @throws NatsServerMissingError
 */
export async function resolveNatsServer(options: ResolveNatsServerOptions = {}): Promise<string> {
  const { env = process.env, cacheFolder = CACHE_FOLDER, platform = process.platform } = options;
  const named = env['NATS_SERVER_BIN'];
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named;
    throw new NatsServerMissingError(`NATS_SERVER_BIN names ${named}, which is not an executable file`);
  }
  const program = platform === 'win32' ? 'nats-server.exe' : 'nats-server';
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const onPath = folders.map((folder) => join(folder, program)).find(isExecutable);
  if (onPath !== undefined) return onPath;
  const cached = join(cacheFolder, program);
  if (isExecutable(cached)) return cached;
  if (platform !== 'linux') throw new NatsServerMissingError(remedy(platform));
  return withFileLock(join(cacheFolder, 'download.lock'), LOCK_TIMEOUT_MS, async () => {
    if (!isExecutable(cached)) {
      options.onDownload?.();
      await fetchFromPackage(cached, env);
    }
    return cached;
  });
}

function remedy(platform: NodeJS.Platform): string {
  const commands: Partial<Record<NodeJS.Platform, string>> = {
    darwin: 'brew install nats-server',
    win32: 'winget install NATSAuthors.NATSServer',
  };
  const command = commands[platform] ?? 'install your distribution\'s package "nats-server"';
  return `No nats-server found. Run: ${command} (or set NATS_SERVER_BIN to the program, or NATS_URL to a running server)`;
}

async function fetchFromPackage(
  target: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sync-nats-download-'));
  try {
    const inFolder = { cwd: folder, env: { ...env } };
    await downloadPackage(folder, inFolder);
    const archive = (await readdir(folder)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get download left no package');
    await run('dpkg-deb', ['-x', archive, 'unpacked'], inFolder);
    // Copied next to the target and renamed: nobody ever starts half a program, and the folders may be on two
    // disks.
    const unfinished = `${target}.${randomUUID()}`;
    await run('cp', [join(folder, 'unpacked/usr/sbin/nats-server'), unfinished]).catch(() =>
      run('cp', [join(folder, 'unpacked/usr/bin/nats-server'), unfinished]),
    );
    await rename(unfinished, target);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new NatsServerMissingError(`${remedy('linux')}\nTrying "apt-get download nats-server": ${detail}`, {
      cause,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type RunOptions = { readonly cwd: string; readonly env: NodeJS.ProcessEnv };

/** With the system's package lists; when these are missing or too old, with fresh ones of our own. */
async function downloadPackage(folder: string, options: RunOptions): Promise<void> {
  try {
    await run('apt-get', ['download', 'nats-server'], options);
  } catch {
    const [lists, cache] = [join(folder, 'lists'), join(folder, 'cache')];
    await Promise.all([lists, cache].map((path) => mkdir(join(path, 'partial'), { recursive: true })));
    // The sandbox user `_apt` may not enter our temporary folder.
    const own = [
      '-o',
      `Dir::State::lists=${lists}`,
      '-o',
      `Dir::Cache=${cache}`,
      '-o',
      'APT::Sandbox::User=',
    ];
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', 'nats-server'], options);
  }
}
