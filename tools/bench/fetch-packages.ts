/** Packages that are fetched only by who compares: they are no dependencies of the project. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * Fetches what a `packages.json` names, unless that was done since it was changed.
 * @param folder where to
 * @param note is told when packages are fetched
 * @throws what npm says
 */
export async function fetchPackages(
  wanted: string,
  folder: string,
  note: (text: string) => void,
): Promise<void> {
  const present = await stat(join(folder, 'node_modules/.package-lock.json')).catch(() => null);
  if (present !== null && present.mtimeMs > (await stat(wanted)).mtimeMs) return;
  note('fetching the packages of the peers once');
  await mkdir(folder, { recursive: true });
  await copyFile(wanted, join(folder, 'package.json'));
  // Their native parts come built: no script has to run.
  const flags = ['--ignore-scripts', '--omit=peer', '--no-audit', '--no-fund', '--no-package-lock'];
  await promisify(execFile)('npm', ['install', ...flags], { cwd: folder });
}
