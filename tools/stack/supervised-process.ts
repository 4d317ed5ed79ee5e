import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitOf, watchOver, type Watchdog } from '@sync/postgres/testing';

/**
 * A batch of 100 mutations leaves a few MB of short-lived objects in each process: with V8's default of 16 MB
 * for young objects many of them are copied before they die, which cost 10 % of all CPU. The images say the
 * same.
 */
const NODE_FLAGS = ['--enable-source-maps', '--max-semi-space-size=64'] as const;

/** How to start one process. */
export interface ProcessOptions {
  readonly name: string;
  /** Absolute path of the main module. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  /** Stdout and stderr, appended. */
  readonly logFile: string;
  /** Told about every unexpected end, every return, and what is waited for; one line each. */
  readonly report: (message: string) => void;
  /** How long a start that somebody waits for may take; default 300 s. */
  readonly startLimitMs?: number;
}

/**
 * Thrown when a process ended, or did not become ready, during its start; the message holds the end of its
 * log.
 */
export class ProcessStartError extends Error {
  override readonly name = 'ProcessStartError';
}

/** Everything together starts in seconds; a machine that is busy with test runs was seen to take a minute. */
const START_LIMIT_MS = 300_000;
const PROGRESS_MS = 15_000;
/**
 * Beside its `DRAIN_READINESS_MS`, which a service gives balancers: what docs/guides/run-it.md asks
 * deployments to wait.
 */
export const DRAIN_TIMEOUT_MS = 20_000;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 10_000;
/** Where tests kill processes on purpose, a growing pause would only make them longer. */
const KILLED_BY_TESTS = process.env['FAULT_INJECTION'] === 'true';
/** A process that lived this long did not fail because of its start: the back-off begins anew. */
const STABLE_AFTER_MS = 30_000;
const POLL_MS = 25;
const SHOWN_LOG_LINES = 15;
const SHOWN_CHARACTERS = 300;

/**
 * One process of the stack: started, waited for until it is ready, and started again with a growing pause
 * when it ends unasked. Ready means: a JSON log line with `"event":"ready"`, `"url"` and `"opsUrl"`, and
 * `GET <opsUrl>/health/ready` answers 200.
 *
 * Its output goes straight into a file. A pipe would make every log line work for the stack, and a stack that
 * is stopped in a debugger would in the end block its services.
 */
export class SupervisedProcess {
  readonly #options: ProcessOptions;
  #entry: string;
  #child: ChildProcess | undefined;
  #watchdog: Watchdog | undefined;
  #urls: ReadyUrls = { url: '', opsUrl: '' };
  #wanted = false;
  #backoffMs = FIRST_BACKOFF_MS;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#entry = options.entry;
  }

  /** `undefined` while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Empty before the first start. */
  get url(): string {
    return this.#urls.url;
  }

  /** Where health and metrics are; empty before the first start. */
  get opsUrl(): string {
    return this.#urls.opsUrl;
  }

  /**
   * @param entry another main module from now on
   * @throws ProcessStartError
   */
  async start(entry = this.#entry): Promise<void> {
    this.#entry = entry;
    this.#wanted = true;
    await this.#launch(this.#options.startLimitMs ?? START_LIMIT_MS);
  }

  /**
   * Sends a signal. After one that ends processes it stays down until `start`; SIGSTOP and SIGCONT only pass
   * through.
   */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') {
      child?.kill(signal);
      return;
    }
    this.#wanted = false;
    if (child === undefined) return;
    child.kill(signal);
    child.kill('SIGCONT'); // a stopped process takes no signal but SIGKILL
    await exitOf(child);
  }

  /** Lets it drain, then ends it. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    child.kill('SIGCONT');
    const limitMs = DRAIN_TIMEOUT_MS + Number(this.#options.env['DRAIN_READINESS_MS'] ?? 0);
    const timer = setTimeout(() => {
      this.#options.report(`${this.#options.name} did not drain within ${limitMs} ms: killed`);
      child.kill('SIGKILL');
    }, limitMs);
    await exitOf(child);
    clearTimeout(timer);
  }

  async #launch(limitMs: number): Promise<void> {
    const { env, logFile } = this.#options;
    const from = existsSync(logFile) ? statSync(logFile).size : 0;
    const log = openSync(logFile, 'a');
    const child = spawn(process.execPath, [...NODE_FLAGS, this.#entry], {
      // Ctrl-C in a terminal reaches a whole process group: out of it, so that the stack can stop things in
      // order.
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    this.#watchdog = child.pid === undefined ? undefined : watchOver(child.pid, 'TERM');
    const startedMs = Date.now();
    const ended = exitOf(child);
    let ready = false;
    void ended.then((how) => {
      this.#watchdog?.release(); // the number of a process that is gone may soon be somebody else's
      if (this.#child === child) this.#child = undefined;
      if (ready && this.#wanted) this.#restartLater(how, Date.now() - startedMs);
    });
    this.#urls = await this.#untilReady(ended, from, limitMs);
    ready = true;
  }

  async #untilReady(ended: Promise<string>, from: number, limitMs: number): Promise<ReadyUrls> {
    const { name, logFile, report } = this.#options;
    let how: string | undefined;
    void ended.then((reason) => (how = reason));
    const startedMs = Date.now();
    let reportAtMs = startedMs + PROGRESS_MS;
    for (;;) {
      const urls = readyUrls(readLog(logFile, from));
      if (urls !== undefined && (await answersReady(urls.opsUrl))) return urls;
      if (how !== undefined) throw this.#startError(`ended with ${how} during its start`, from);
      const waitedMs = Date.now() - startedMs;
      if (waitedMs > limitMs) {
        await this.kill('SIGKILL');
        throw this.#startError(`was not ready after ${limitMs / 1000} s`, from);
      }
      if (Date.now() > reportAtMs) {
        reportAtMs += PROGRESS_MS;
        report(`${name} is not ready after ${Math.round(waitedMs / 1000)} s: ${await this.#whatFails()}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** What the process itself says that it waits for. */
  async #whatFails(): Promise<string> {
    const { HOST = '127.0.0.1', OPS_PORT = '0' } = this.#options.env;
    try {
      const answer = await fetch(`http://${HOST}:${OPS_PORT}/health/ready`, {
        signal: AbortSignal.timeout(5_000),
      });
      return (await answer.text()).slice(0, SHOWN_CHARACTERS);
    } catch {
      return `it does not answer; its log is ${this.#options.logFile}`;
    }
  }

  #startError(what: string, from: number): ProcessStartError {
    const { name, logFile } = this.#options;
    const lines = readLog(logFile, from).trimEnd().split('\n').slice(-SHOWN_LOG_LINES);
    const taken = /EADDRINUSE[^\n]*/.exec(lines.join('\n'));
    if (taken !== null)
      return new ProcessStartError(`${name}: its port is taken (${taken[0].slice(0, 100)})`);
    const quoted = lines.map((line) => `  | ${line}`).join('\n');
    return new ProcessStartError(`${name} ${what}. The end of its log (${logFile}):\n${quoted}`);
  }

  #restartLater(how: string, livedMs: number): void {
    const { name, report } = this.#options;
    if (livedMs > STABLE_AFTER_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    const pauseMs = this.#backoffMs;
    if (!KILLED_BY_TESTS) this.#backoffMs = Math.min(pauseMs * 2, MAX_BACKOFF_MS);
    report(`${name} ended unexpectedly (${how}), starting it again in ${pauseMs} ms`);
    setTimeout(() => {
      if (!this.#wanted || this.#child !== undefined) return;
      // Nobody waits for it, and one that is slow or waits for others is not mended by being killed.
      this.#launch(Number.POSITIVE_INFINITY).then(
        () => report(`${name} is back (process ${this.pid ?? 'gone'})`),
        (error: unknown) => {
          report(error instanceof Error ? error.message : String(error));
          if (this.#wanted) this.#restartLater('start failed', 0);
        },
      );
    }, pauseMs).unref();
  }
}

function readLog(logFile: string, from: number): string {
  return readFileSync(logFile).subarray(from).toString('utf8');
}

interface ReadyUrls {
  readonly url: string;
  readonly opsUrl: string;
}

/**
 * Of the last complete ready line, if there is one. A process of another checkout may be older: it has health
 * on its one port.
 */
function readyUrls(log: string): ReadyUrls | undefined {
  const lines = log.slice(0, log.lastIndexOf('\n') + 1).split('\n');
  const line = lines.findLast((candidate) => candidate.includes('"event":"ready"'));
  if (line === undefined) return undefined;
  try {
    const fields: unknown = JSON.parse(line);
    if (typeof fields !== 'object' || fields === null || !('url' in fields)) return undefined;
    const { url, opsUrl = url } = fields as { readonly url: unknown; readonly opsUrl?: unknown };
    return typeof url === 'string' && typeof opsUrl === 'string' ? { url, opsUrl } : undefined;
  } catch {
    return undefined;
  }
}

async function answersReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(new URL('/health/ready', url), { signal: AbortSignal.timeout(5_000) });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    return false;
  }
}
