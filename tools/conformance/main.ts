/**
 * `npm run conformance`: the rules of docs/protocol.md that show from outside, checked against any server.
 * The checks are the tests of `e2e/conformance`; which rule each belongs to stands in docs/protocol-tests.md.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BROKEN_SERVERS, type Target, catchAll, checkOf, runChecks } from '@sync/e2e-conformance';
import { bindDevice, startStackProcess } from '@sync/e2e-device';
import { readRuleTests, readRules } from '../protocol-rules/read-rules.ts';
import { type CommandLine, USAGE, readCommandLine } from './command-line.ts';
import { checksOf, judgeRules } from './judge-rules.ts';
import { reportCatches } from './report-catches.ts';
import { type Report, asJunit, asMarkdown, asText } from './report.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROGRESS = join(ROOT, 'tools/conformance/progress-reporter.mjs');

const say = (message: string): boolean => process.stderr.write(`${message}\n`);

/** A platform of its own, or the one that was named; `stop` leaves the latter alone. */
async function findTarget({ urls }: CommandLine): Promise<{ target: Target; stop: () => Promise<void> }> {
  if (urls === null) {
    say('Starting a platform; --gateway URL --identity URL checks another one …');
    const stack = await startStackProcess();
    return { target: stack.line, stop: () => stack.stop() };
  }
  await expectAnswers(urls);
  return { target: urls, stop: () => Promise.resolve() };
}

/** @throws Error that says which of the two does not do what the checks need before they can begin */
async function expectAnswers(urls: NonNullable<CommandLine['urls']>): Promise<void> {
  const why = (what: string, cause: unknown): never => {
    throw new Error(`${what} (docs/guides/check-your-server.md says what is needed)`, { cause });
  };
  await fetch(new URL('/sync/v1/pull', urls.gateway), { method: 'POST' }).catch((error: unknown) =>
    why(`the gateway at ${urls.gateway} does not answer`, error),
  );
  const device = await bindDevice(urls, 'conformance', 'first-of-all').catch((error: unknown) =>
    why(`the identity service at ${urls.identity} binds no device`, error),
  );
  if (!device.deviceId || !device.accessToken || Buffer.from(device.hmacKey, 'base64').length !== 32)
    why('the identity service gives no deviceId, accessToken and hmacKey of 32 bytes', device);
}

async function checkRules(target: Target, { only }: CommandLine): Promise<Report> {
  const [rulesText, testsText] = await Promise.all(
    ['docs/protocol.md', 'docs/protocol-tests.md'].map((path) => readFile(join(ROOT, path), 'utf8')),
  );
  const rules = readRules(rulesText ?? '').filter(({ id }) => isWanted(id, only));
  if (rules.length === 0) throw new Error(`no rule is called ${only.join()}`);
  const references = readRuleTests(testsText ?? '');
  const checks = checksOf(rules, references);
  say(`Checking ${rules.length} rules by ${checks.length} checks at ${target.gateway}`);
  const results = checks.length === 0 ? [] : await runChecks(target, checks, PROGRESS);
  return judgeRules(rules, references, results);
}

const isWanted = (id: string, only: readonly string[]): boolean =>
  only.length === 0 || only.some((wanted) => id === wanted || id.startsWith(`${wanted}-`));

async function catchBroken(target: Target, { only, short }: CommandLine): Promise<Report> {
  const servers = BROKEN_SERVERS.filter(
    ({ rule, isShort = false }) => isWanted(rule, only) && (isShort || !short),
  );
  const checks = new Set(servers.map((server) => checkOf(server).title));
  say(`${servers.length} broken servers; first, their ${checks.size} checks have to pass without a fault`);
  const atOnce = Math.max(1, availableParallelism());
  const catches = await catchAll(target, servers, atOnce, ({ server, verdict }) => {
    say(`${verdict}: ${server.fault} (${server.rule})`);
  });
  return reportCatches(catches);
}

async function writeReports(report: Report, { reports }: CommandLine): Promise<void> {
  for (const { format, path } of reports) {
    // npm runs this in the project’s folder, wherever it was called.
    const file = resolve(process.env['INIT_CWD'] ?? '.', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, format === 'md' ? asMarkdown(report) : asJunit(report));
  }
  process.stdout.write(asText(report));
}

/** @returns the exit code */
async function main(commandLine: CommandLine): Promise<number> {
  const { target, stop } = await findTarget(commandLine);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(2)));
  }
  try {
    const report = await (commandLine.broken ? catchBroken : checkRules)(target, commandLine);
    await writeReports(report, commandLine);
    const lines = report.groups.flatMap((group) => group.lines);
    return lines.some(({ kind }) => kind === 'failed') ? 1 : 0;
  } finally {
    await stop();
  }
}

/** From the outermost to the innermost. */
function reasonsOf(error: unknown): string[] {
  if (error === undefined) return [];
  return error instanceof Error ? [error.message, ...reasonsOf(error.cause)] : [JSON.stringify(error)];
}

try {
  const commandLine = readCommandLine(process.argv.slice(2));
  if (commandLine.help) process.stdout.write(`${USAGE}\n`);
  else process.exitCode = await main(commandLine);
} catch (error) {
  say(reasonsOf(error).join(': '));
  say('npm run conformance -- --help shows how to use it.');
  process.exitCode = 2;
}
