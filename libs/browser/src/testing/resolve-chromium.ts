import { execFile } from 'node:child_process';
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isExecutable, unpackDebianPackages, withFileLock } from '@sync/postgres/testing';

const execute = promisify(execFile);

/** Where a downloaded browser is kept: `<workspace>/.cache/chromium`. Works from `src` and from `dist`. */
const CACHE_FOLDER = resolve(import.meta.dirname, '../../../../.cache/chromium');
const LOCK_TIMEOUT_MS = 15 * 60_000;
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PACKAGES = ['chromium', 'fonts-dejavu-core'];

/** Thrown when there is no Chromium and none can be fetched; the message names what helps. */
export class ChromiumMissingError extends Error {
  override readonly name = 'ChromiumMissingError';
}

/** What {@link resolveChromium} looks at; everything can be given, for tests. */
export interface ResolveChromiumOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cacheFolder?: string;
  /** dpkg's list of what is installed; an empty file makes apt fetch every library. */
  readonly dpkgStatus?: string;
}

/**
 * Path of a Chromium: `CHROMIUM_BIN`, else one on PATH that starts, else the one in the cache folder. That is
 * filled from Debian's packages on first use: the browser, a font, and every library that is not installed.
 * They are only unpacked, never installed, so no root is needed. It takes a minute or several.
 *
 * @throws ChromiumMissingError
 */
export async function resolveChromium(options: ResolveChromiumOptions = {}): Promise<string> {
  const { env = process.env, cacheFolder = CACHE_FOLDER } = options;
  const named = env['CHROMIUM_BIN'];
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named;
    throw new ChromiumMissingError(`CHROMIUM_BIN names ${named}, which is not an executable file`);
  }
  for (const program of PROGRAMS) {
    for (const folder of (env['PATH'] ?? '').split(delimiter)) {
      const path = join(folder, program);
      // Ubuntu has a script of this name that only says how to install a snap.
      if (folder !== '' && isExecutable(path) && (await starts(path))) return path;
    }
  }
  const cached = join(cacheFolder, 'chromium');
  if (isExecutable(cached)) return cached;
  return withFileLock(join(cacheFolder, 'download.lock'), LOCK_TIMEOUT_MS, async () => {
    if (!isExecutable(cached)) await fetchFromPackages(cacheFolder, cached, options);
    return cached;
  });
}

async function starts(path: string): Promise<boolean> {
  return execute(path, ['--version'], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}

async function fetchFromPackages(
  cacheFolder: string,
  target: string,
  { env = process.env, dpkgStatus }: ResolveChromiumOptions,
): Promise<void> {
  try {
    const found = await unpackDebianPackages({ packages: PACKAGES, folder: cacheFolder, env, dpkgStatus });
    await writeStarter(cacheFolder, found, target);
    await execute(target, ['--version'], { timeout: 60_000 });
  } catch (cause) {
    await rm(target, { force: true });
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ChromiumMissingError(
      `No Chromium found. Install your system's package "chromium", or set CHROMIUM_BIN to the program.\n` +
        `Trying to fetch Debian's packages: ${detail}`,
      { cause },
    );
  }
}

/** Starts the unpacked program with the libraries and fonts that lie beside it. */
async function writeStarter(
  cacheFolder: string,
  { root, libraries }: { readonly root: string; readonly libraries: readonly string[] },
  target: string,
): Promise<void> {
  const fonts = join(cacheFolder, 'fonts.conf');
  await writeFile(
    fonts,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${root}/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${cacheFolder}/font-cache</cachedir>
</fontconfig>
`,
  );
  const folders = libraries.filter((path) => /\/lib\/[^/]*linux-gnu[^/]*(\/(nss|pulseaudio))?$/.test(path));
  const script = `#!/bin/sh
export LD_LIBRARY_PATH="${folders.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export FONTCONFIG_FILE="${fonts}"
exec "${root}/usr/lib/chromium/chromium" "$@"
`;
  // Renamed when it is whole: nobody ever starts half a program.
  await writeFile(`${target}.new`, script);
  await chmod(`${target}.new`, 0o755);
  await rename(`${target}.new`, target);
}
