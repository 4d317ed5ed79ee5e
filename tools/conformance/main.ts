/**
 * `npm run conformance`: the rules of docs/protocol.md that show from outside, checked against any server, or
 * any owning service. The checks are the tests of `e2e/conformance` and `e2e/owner-conformance`; which rule
 * each belongs to stands in docs/protocol-tests.md.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import {
  BROKEN_SERVERS,
  type Breaking,
  type Broken,
  type CheckKit,
  SERVER_KIT,
  type Target,
  breakingServer,
  catchAll,
  checkOf,
  runChecks,
} from '@sync/e2e-conformance';
import { bindDevice, startStackProcess } from '@sync/e2e-device';
import {
  BROKEN_OWNERS,
  OWNER_KIT,
  playPlatform,
  readOwnerFile,
  startBreakableOwner,
} from '@sync/e2e-owner-conformance';
import { readRuleTests, readRules } from '../protocol-rules/read-rules.ts';
import { type CommandLine, USAGE, readCommandLine } from './command-line.ts';
import { checksOf, judgeRules } from './judge-rules.ts';
import { type KitCatches, reportCatches } from './report-catches.ts';
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

async function checkRules(
  kit: CheckKit,
  target: unknown,
  { only }: CommandLine,
  isMirror: boolean,
): Promise<Report> {
  const [rulesText, testsText] = await Promise.all(
    ['docs/protocol.md', 'docs/protocol-tests.md'].map((path) => readFile(join(ROOT, path), 'utf8')),
  );
  const references = readRuleTests(testsText ?? '');
  const wanted = readRules(rulesText ?? '').filter(({ id }) => isWanted(id, only));
  // Nine of ten rules are about devices: an owning service hears of its own ones only.
  const rules = isMirror ? wanted.filter((rule) => checksOf(kit, [rule], references).length > 0) : wanted;
  if (rules.length === 0) throw new Error(`no rule is called ${only.join()}`);
  const checks = checksOf(kit, rules, references);
  say(`Checking ${rules.length} rules by ${checks.length} checks`);
  const results = checks.length === 0 ? [] : await runChecks(kit, target, checks, PROGRESS);
  return judgeRules(kit, rules, references, results);
}

const isWanted = (id: string, only: readonly string[]): boolean =>
  only.length === 0 || only.some((wanted) => id === wanted || id.startsWith(`${wanted}-`));

async function catchBroken<B extends Broken>(breaking: Breaking<B>, all: readonly B[]): Promise<KitCatches> {
  const { kit } = breaking;
  const checks = new Set(all.map((broken) => checkOf(kit, broken).title));
  say(
    `${all.length} broken ${kit.subject}s; first, their ${checks.size} checks have to pass without a fault`,
  );
  const atOnce = Math.max(1, availableParallelism());
  const catches = await catchAll(breaking, all, atOnce, ({ broken, verdict }) => {
    say(`${verdict}: ${broken.fault} (${broken.rule})`);
  });
  return { kit, catches };
}

/** Servers that are broken, and owning services; these are the kit’s own, and have no part in a named server. */
async function catchAllBroken(target: Target, { only, short, urls }: CommandLine): Promise<Report> {
  const isAsked = ({ rule, isShort }: Broken): boolean =>
    isWanted(rule, only) && (isShort === true || !short);
  const servers = BROKEN_SERVERS.filter(isAsked);
  const owners = urls === null ? BROKEN_OWNERS.filter(isAsked) : [];
  if (servers.length + owners.length === 0) throw new Error(`nothing is broken that breaks ${only.join()}`);
  const catches: KitCatches[] = [];
  if (servers.length > 0) catches.push(await catchBroken(breakingServer(target), servers));
  if (owners.length > 0) {
    const breakable = await startBreakableOwner();
    try {
      catches.push(await catchBroken(breakable, owners));
    } finally {
      await breakable.stop();
    }
  }
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

/** Something to check, until it is stopped. */
interface Checked {
  readonly report: () => Promise<Report>;
  readonly stop: () => Promise<void>;
}

async function startOwner(path: string, commandLine: CommandLine): Promise<Checked> {
  // npm runs this in the project’s folder, wherever it was called.
  const file = await readOwnerFile(resolve(process.env['INIT_CWD'] ?? '.', path));
  say(`Waiting for ${file.service} to register at ${file.nats} …`);
  const played = await playPlatform(file);
  return {
    report: () => checkRules(OWNER_KIT, played.target, commandLine, true),
    stop: () => played.stop(),
  };
}

async function startServer(commandLine: CommandLine): Promise<Checked> {
  const { target, stop } = await findTarget(commandLine);
  const report = (): Promise<Report> =>
    commandLine.broken
      ? catchAllBroken(target, commandLine)
      : checkRules(SERVER_KIT, target, commandLine, false);
  return { report, stop };
}

/** @returns the exit code */
async function main(commandLine: CommandLine): Promise<number> {
  const { owner } = commandLine;
  const { report: check, stop } = await (owner === null
    ? startServer(commandLine)
    : startOwner(owner, commandLine));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(2)));
  }
  try {
    const report = await check();
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
