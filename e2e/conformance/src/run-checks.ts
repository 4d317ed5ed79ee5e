import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { StackLine } from '@sync/e2e-device';
import { needOf } from './kit/needs.ts';
import { patternOf, sourceTitleOf, titlesIn } from './test-titles.ts';

/** What is checked: the URLs that are known of it. Checks that need another one are not made. */
export type Target = Partial<StackLine> & Pick<StackLine, 'gateway' | 'identity'>;

/**
 * A kit is a folder of checks with a Jest of its own: this one asks servers, its mirror asks owning services.
 */
export interface CheckKit {
  /** What it checks, in a word or two: `server`. */
  readonly subject: string;
  /** From the root of the workspace. Its tests are the checks; those in folders below it are not. */
  readonly folder: string;
  /** Jest’s configuration, from the root of the workspace. */
  readonly config: string;
  /** The environment variable that tells the checks, as JSON, what they are to check. */
  readonly variable: string;
}

/** The checks of a server. */
export const SERVER_KIT: CheckKit = {
  subject: 'server',
  folder: 'e2e/conformance/src',
  config: 'e2e/conformance/jest.config.mjs',
  variable: 'STACK_JSON',
};

/** A check of a kit is a test of it, named by its file and by its title as both stand in the source. */
export interface CheckName {
  /** From the root of the workspace. */
  readonly path: string;
  /** With the placeholders of `it.each`. */
  readonly title: string;
}

/** What became of one test; of a title with placeholders there are several. */
export interface CheckResult extends CheckName {
  readonly status: 'passed' | 'failed' | 'not checked';
  /** The title as it ran. */
  readonly ran: string;
  /** Why it failed, or what it needs; empty where it passed. */
  readonly why: string;
}

interface JestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title: string;
      /** What the check is a part of: an entity type, where there are several. */
      readonly ancestorTitles: readonly string[];
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const ROOT = resolve(import.meta.dirname, '../../..');

/** Every check that the kit has. */
export async function checkNames({ folder }: CheckKit): Promise<CheckName[]> {
  const files = (await readdir(join(ROOT, folder))).filter((file) => file.endsWith('.test.ts'));
  const paths = files.sort().map((file) => `${folder}/${file}`);
  const titles = paths.map(async (path) => {
    return (await titlesOf(path)).map((title): CheckName => ({ path, title }));
  });
  return (await Promise.all(titles)).flat();
}

/**
 * Runs checks in a Jest of their own against the target.
 * @param target what the kit’s variable says: JSON
 * @param only these, and no others
 * @param reporter a module that Jest tells of its progress; what it writes to stdout comes to our stderr
 * @throws Error when Jest itself did not come to its end
 */
export async function runChecks(
  kit: CheckKit,
  target: unknown,
  only: readonly CheckName[],
  reporter?: string,
): Promise<CheckResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  const outputFile = join(folder, 'report.json');
  try {
    const said = await runJest(kit, target, [
      ...['--json', `--outputFile=${outputFile}`, '--silent'],
      ...(reporter === undefined ? [] : [`--reporters=${reporter}`]),
      `--testNamePattern=${only.map(({ title }) => `(^| )${patternOf(title)}$`).join('|')}`,
      ...['--runTestsByPath', ...new Set(only.map(({ path }) => path))],
    ]);
    const text = await readFile(outputFile, 'utf8').catch(() => null);
    if (text === null) throw new Error(`the checks did not come to their end:\n${said}`);
    return await readReport(kit, JSON.parse(text) as JestReport, only);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns what it complained of */
async function runJest(
  { config, variable }: CheckKit,
  target: unknown,
  options: readonly string[],
): Promise<string> {
  const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
  const child = spawn(process.execPath, [...jest, '-c', config, ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [variable]: JSON.stringify(target), NODE_OPTIONS: '' },
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  const kill = (): boolean => child.kill('SIGTERM');
  process.once('exit', kill);
  await once(child, 'close');
  process.off('exit', kill);
  return said;
}

/** @returns at least one result of each check: one that did not run has failed */
async function readReport(
  { folder }: CheckKit,
  report: JestReport,
  only: readonly CheckName[],
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const broken = new Map<string, string>();
  for (const { name, message, assertionResults } of report.testResults) {
    const path = name.slice(name.indexOf(folder));
    if (assertionResults.length === 0) broken.set(path, message);
    const titles = await titlesOf(path);
    for (const { status, title, ancestorTitles, failureMessages } of assertionResults) {
      // The others of the file.
      if (status === 'pending') continue;
      const source = sourceTitleOf(titles, title);
      if (!only.some((check) => check.path === path && check.title === source)) continue;
      const ran = [...ancestorTitles, title].join(' › ');
      results.push({ path, title: source, ran, ...readOutcome(status, failureMessages) });
    }
  }
  const missing = only.filter(
    ({ path, title }) => !results.some((result) => result.path === path && result.title === title),
  );
  const why = (path: string): string => `it did not run ${broken.get(path) ?? ''}`.trim();
  return [
    ...results,
    ...missing.map((check) => {
      return { ...check, ran: check.title, status: 'failed' as const, why: why(check.path) };
    }),
  ];
}

function readOutcome(
  status: string,
  failureMessages: readonly string[],
): Pick<CheckResult, 'status' | 'why'> {
  if (status === 'passed') return { status, why: '' };
  const why = stripVTControlCharacters(failureMessages.join('\n'));
  const need = needOf(why);
  return need === null ? { status: 'failed', why } : { status: 'not checked', why: need };
}

const titles = new Map<string, Promise<string[]>>();
function titlesOf(path: string): Promise<string[]> {
  const known = titles.get(path) ?? readFile(join(ROOT, path), 'utf8').then(titlesIn);
  titles.set(path, known);
  return known;
}
