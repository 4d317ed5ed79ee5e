import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { summarizeReports, type TestSummary } from './summarize-reports.ts';

/** A second platform beside it takes the cores for seconds, and requests fail that no restart made fail. */
const ALONE = 'e2e-restarts';

/**
 * Runs the tests of every project and sums them up, two at a time: libraries and apps, then what starts the
 * whole platform (tag `layer:e2e`), and at last, by itself, what looks for single requests that fail while
 * processes restart.
 *
 * Never from Nx's cache: these tests run against real servers, which are no input that Nx could know.
 *
 * @param root the workspace
 */
export async function runTests(root: string): Promise<TestSummary> {
  const reportFolder = join(root, 'reports/tests');
  await rm(reportFolder, { recursive: true, force: true });
  const projects = await projectsWithTests(root);
  const all = ['run-many', '-t', 'test', '--skip-nx-cache', '--output-style=stream'];
  const codes = [
    await run(root, 'nx', [...all, '--exclude=tag:layer:e2e', '--parallel=2']),
    await run(root, 'nx', [...all, '--projects=tag:layer:e2e', `--exclude=${ALONE}`, '--parallel=2']),
    await run(root, 'nx', [...all, `--projects=${ALONE}`]),
  ];
  const reports = new Map<string, string | undefined>();
  for (const project of projects) {
    reports.set(
      project,
      await readFile(join(reportFolder, `${project}.json`), 'utf8').catch(() => undefined),
    );
  }
  const summary = summarizeReports(reports);
  // Jest can fail without a failed test (a coverage threshold, a teardown): that is a failure too.
  const unexplained = summary.failed === 0 && codes.some((code) => code !== 0);
  return unexplained
    ? { ...summary, failed: 1, failures: ['a project failed without a failed test: see its output above'] }
    : summary;
}

async function projectsWithTests(root: string): Promise<string[]> {
  const args = ['show', 'projects', '--with-target', 'test', '--json'];
  const { output } = await runAndCollect(root, 'nx', args, 'inherit');
  return JSON.parse(output) as string[];
}

/** Runs one of the workspace's commands. @returns its exit code, and what it printed */
export async function runAndCollect(
  root: string,
  command: string,
  args: readonly string[],
  stderr: 'pipe' | 'inherit' = 'pipe',
): Promise<{ readonly code: number; readonly output: string }> {
  let output = '';
  const child = spawn(command, args, { ...spawnOptions(root), stdio: ['ignore', 'pipe', stderr] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return { code: await codeOf(child), output };
}

/** The same with its output passed through. @returns its exit code */
export async function run(root: string, command: string, args: readonly string[]): Promise<number> {
  return codeOf(spawn(command, args, { ...spawnOptions(root), stdio: 'inherit' }));
}

function spawnOptions(root: string) {
  return {
    cwd: root,
    shell: process.platform === 'win32',
    env: { ...process.env, NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NX_TUI: 'false' },
  };
}

function codeOf(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
