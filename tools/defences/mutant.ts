import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Defence } from './defences.ts';

const run = promisify(execFile);

/** How a test file ended. `broken`: it could not run, which proves nothing. */
export type Verdict = 'green' | 'red' | 'broken';

/** The part of Jest's report that is read. */
interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Longer than any of the test files takes on a busy machine. */
const TEST_LIMIT_MS = 300_000;
const MAX_OUTPUT_BYTES = 64 * 1_048_576;

/** How often the text of a defence stands in its file: anything but 1 is a mistake in the list. */
export function occurrences(source: string, { text }: Defence): number {
  return source.split(text).length - 1;
}

/** The source without the defence. */
export function withoutDefence(source: string, { text, without }: Defence): string {
  return source.replace(text, () => without);
}

/**
 * Copies what git knows of the working tree, changes that are not committed included, into a folder. Packages
 * are linked; those of the workspace come from the copy.
 */
export async function copyWorkspace(root: string, to: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  for (const file of new Set(stdout.split('\0').filter((name) => name !== ''))) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    // What was deleted and not committed is still listed.
    await cp(join(root, file), join(to, file)).catch(unlessMissing);
  }
  await mkdir(join(to, 'node_modules'));
  for (const name of await readdir(join(root, 'node_modules'))) {
    const [from, link] = [join(root, 'node_modules', name), join(to, 'node_modules', name)];
    // Relative links, which lead into the copy.
    if (name === '@sync') await cp(from, link, { recursive: true, verbatimSymlinks: true });
    else await symlink(from, link);
  }
}

/** Runs the test of a defence in a copy in which the defence is missing. */
export async function runWithout(copy: string, defence: Defence): Promise<Verdict> {
  const path = join(copy, defence.file);
  const source = await readFile(path, 'utf8');
  if (occurrences(source, defence) !== 1) return 'broken';
  await writeFile(path, withoutDefence(source, defence));
  try {
    return await runTest(copy, defence.test);
  } finally {
    await writeFile(path, source);
  }
}

/** Runs one test file. */
export async function runTest(copy: string, test: string): Promise<Verdict> {
  const [, project = ''] = /^(tools|(?:apps|libs|e2e)\/[^/]+)\//.exec(test) ?? [];
  const report = join(copy, 'defence-report.json');
  await rm(report, { force: true });
  const args = [
    ...['--experimental-vm-modules', '--no-warnings', join(copy, 'node_modules/jest/bin/jest.js')],
    ...['-c', join(copy, project, 'jest.config.mjs'), '--coverage=false', '--forceExit'],
    ...['--json', `--outputFile=${report}`, '--runTestsByPath', join(copy, test)],
  ];
  // It ends with 1 where a test is red; what it wrote says which.
  await run(process.execPath, args, {
    ...{ cwd: copy, timeout: TEST_LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES },
  }).catch(() => undefined);
  const text = await readFile(report, 'utf8').catch(() => '');
  return text === '' ? 'broken' : verdictOf(JSON.parse(text) as JestReport);
}

/** A file that does not even load would be red for any reason. */
export function verdictOf(report: JestReport): Verdict {
  if (report.numRuntimeErrorTestSuites > 0) return 'broken';
  if (report.numFailedTests > 0) return 'red';
  return report.numPassedTests > 0 ? 'green' : 'broken';
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}
