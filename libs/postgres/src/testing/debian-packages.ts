import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What {@link unpackDebianPackages} does, and where. */
export interface DebianPackages {
  readonly packages: readonly string[];
  /** Exists; the packages are unpacked below its `root`, which is made anew. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** dpkg's list of what is installed; an empty file makes apt fetch every library. */
  readonly dpkgStatus?: string | undefined;
}

/**
 * Downloads packages of Debian or Ubuntu with everything that they need and that is not installed. They are
 * only unpacked, never installed, so no root is needed.
 * @returns the folder that they are unpacked in, and the folders in it that have libraries
 * @throws Error of apt-get or dpkg-deb
 */
export async function unpackDebianPackages(
  options: DebianPackages,
): Promise<{ readonly root: string; readonly libraries: readonly string[] }> {
  const download = await mkdtemp(join(options.folder, 'download-'));
  const root = join(options.folder, 'root');
  try {
    await downloadPackages(download, options);
    await rm(root, { recursive: true, force: true });
    await mkdir(root, { recursive: true });
    const archives = join(download, 'archives');
    for (const archive of (await readdir(archives)).filter((file) => file.endsWith('.deb'))) {
      // The loader of programs belongs to the C library that the system has.
      if (/^libc6_/.test(archive)) continue;
      await execute('dpkg-deb', ['-x', join(archives, archive), root]);
    }
  } finally {
    await rm(download, { recursive: true, force: true });
  }
  const found = (await execute('find', [root, '-name', '*.so*', '-printf', '%h\n'])).stdout.split('\n');
  return { root, libraries: [...new Set(found)].filter((path) => path !== '') };
}

/** With the system's package lists; when these are missing or too old, with fresh ones of our own. */
async function downloadPackages(folder: string, options: DebianPackages): Promise<void> {
  const { packages, env = process.env, dpkgStatus } = options;
  const lists = join(folder, 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(folder, 'archives/partial'), { recursive: true });
  const run = (...args: string[]) =>
    execute('apt-get', args, { env: { ...env, LC_ALL: 'C' }, maxBuffer: 64 * 1024 * 1024 });
  const own = [
    ...['-o', `Dir::Cache=${folder}`, '-o', `Dir::Cache::archives=${join(folder, 'archives')}`],
    // Nothing is installed, so no lock of the system is needed; its sandbox user may not enter our folder.
    ...['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='],
    ...(dpkgStatus === undefined ? [] : ['-o', `Dir::State::status=${dpkgStatus}`]),
  ];
  const install = ['--yes', '--download-only', '--no-install-recommends', '--reinstall'];
  const download = ['install', ...install, ...packages];
  try {
    await run(...own, ...download);
  } catch {
    const fresh = [...own, '-o', `Dir::State::lists=${lists}`];
    await run(...fresh, 'update');
    await run(...fresh, ...download);
  }
}
