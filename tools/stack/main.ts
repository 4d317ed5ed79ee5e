import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startStack, type Stack } from './start-stack.ts';

const USAGE = `npm start              the whole platform and its main job, until Ctrl-C
npm start -- --once    … and exits after the job
npm run stack          the platform alone
  -- --json            one line of JSON on stdout when ready
  -- --data DIR        keeps databases, streams and logs in DIR (default: temporary)
  -- --port N          port of the gateway (default: a free one)
  -- --copies LIST     gateway=2,projector=3: so many processes of these
  -- --control         restarts what is named on stdin: restart NAME [OTHER-CHECKOUT]; answers with a line of JSON
Environment: DATABASE_ADMIN_URL, DATABASE_URL_<DATABASE>, DATABASE_OWNER_URL_<DATABASE>, NATS_URL, NATS_SERVER_BIN, LOG_LEVEL`;

interface CommandLine {
  readonly json: boolean;
  readonly job: boolean;
  readonly once: boolean;
  readonly help: boolean;
  readonly data: string | undefined;
  readonly port: number | undefined;
  readonly control: boolean;
  /** How many processes, by name. */
  readonly copies: ReadonlyMap<string, number>;
}

/** npm and a terminal may both deliver one Ctrl-C; only a later second one means "now". */
const IMPATIENT_AFTER_MS = 1_000;
const PARENT_CHECK_MS = 1_000;

const startedMs = performance.now();

function say(message: string): void {
  process.stderr.write(`[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s] ${message}\n`);
}

/** @throws Error that says which argument is wrong */
function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      job: { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      data: { type: 'string' },
      port: { type: 'string' },
      copies: { type: 'string', default: '' },
      control: { type: 'boolean', default: false },
    },
  });
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new Error(`--port ${values.port ?? ''} is not a port`);
  }
  const data = values.data === undefined ? undefined : resolve(process.env['INIT_CWD'] ?? '.', values.data);
  const { json, job, once, help, control } = values;
  return { json, job, once, help, control, data, port, copies: readCopies(values.copies) };
}

function readCopies(list: string): Map<string, number> {
  const copies = new Map<string, number>();
  for (const part of list.split(',').filter((text) => text !== '')) {
    const [, name = '', count = ''] = /^([a-z-]+)=(\d+)$/.exec(part) ?? [];
    if (name === '') throw new Error(`--copies ${list}: ${part} is not NAME=NUMBER`);
    copies.set(name, Number(count));
  }
  return copies;
}

/** Not without being asked: a stack in the background of a terminal would be stopped for reading from it. */
function followCommands(stack: Stack): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, name = '', root] = line.split(' ');
    if (command !== 'restart') {
      say(`"${line}" is not: restart NAME [OTHER-CHECKOUT]`);
      return;
    }
    stack.restart(name, root).then(
      () => process.stdout.write(`${JSON.stringify({ restarted: name })}\n`),
      (error: unknown) => {
        process.stdout.write(`${JSON.stringify({ restarted: name, error: String(error) })}\n`);
      },
    );
  });
}

/** Resolves when somebody wants the stack to stop; exits at once when asked a second time. */
function untilAskedToStop(): Promise<void> {
  return new Promise((resolveStop) => {
    let askedMs: number | undefined;
    const onSignal = (): void => {
      if (askedMs !== undefined && performance.now() - askedMs > IMPATIENT_AFTER_MS) process.exit(1);
      askedMs ??= performance.now();
      resolveStop();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    // Our starter was killed with a signal that cannot be handed on: nobody is left who could stop us.
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) resolveStop();
    }, PARENT_CHECK_MS).unref();
  });
}

function printUrls(stack: Stack): void {
  const lines = Object.entries(stack.urls).map(([name, url]) => `  ${name.padEnd(10)} ${url}`);
  process.stdout.write(
    `\n${lines.join('\n')}\n  ${'logs'.padEnd(10)} ${stack.logDir}\n\nCtrl-C stops everything.\n`,
  );
}

function printJson(stack: Stack): void {
  const { urls, opsUrls, databases, pids, logDir, nkeySeeds } = stack;
  const line = { ready: true, ...urls, opsUrls, databases, pids, logDir, nkeySeeds };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

interface MainJob {
  runMainJob(options: { urls: Readonly<Record<string, string>>; out: (line: string) => void }): Promise<void>;
}

/** @returns the exit code */
async function runJob(stack: Stack): Promise<number> {
  const path = resolve(import.meta.dirname, '../../e2e/main-job/src/index.ts');
  if (!existsSync(path)) {
    say('there is no main job in this checkout');
    return 0;
  }
  // By path: the stack is a tool of all projects and depends on none of them.
  const mainJob = (await import(pathToFileURL(path).href)) as MainJob;
  try {
    await mainJob.runMainJob({ urls: stack.urls, out: (line) => process.stdout.write(`${line}\n`) });
    say('the main job succeeded');
    return 0;
  } catch (error) {
    say(`the main job failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return 1;
  }
}

async function main(): Promise<number> {
  const options = readCommandLine(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const asked = untilAskedToStop();
  const starting = startStack({
    ...(options.data === undefined ? {} : { dataDir: options.data }),
    ...(options.port === undefined ? {} : { gatewayPort: options.port }),
    progress: say,
    report: say,
  });
  // What has been started by then ends with us.
  const stack = await Promise.race([
    starting,
    asked.then(() => Promise.reject(new Error('stopped at the start'))),
  ]);
  for (const [name, count] of options.copies) await stack.scale(name, count);
  say('everything is ready');
  if (options.control) followCommands(stack);
  if (options.json) printJson(stack);
  const code = options.job ? await Promise.race([runJob(stack), asked.then(() => 0)]) : 0;
  if (!options.once) {
    if (!options.json) printUrls(stack);
    await asked;
  }
  say('stopping');
  await stack.stop();
  say('stopped');
  return options.once ? code : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);
