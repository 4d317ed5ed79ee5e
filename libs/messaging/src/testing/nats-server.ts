import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitOf, freePort, watchOver, type Watchdog } from '@sync/postgres/testing';
import { resolveNatsServer } from './resolve-nats-server.ts';

/** Options of {@link startNats}. */
export interface StartNatsOptions {
  /** JetStream's folder, kept afterwards; a temporary one, removed at the end, when not given. */
  readonly storeDir?: string;
  /** A free port when not given. */
  readonly port?: number;
  /** Starts a server of our own even when the environment names one: for tests that kill it. */
  readonly own?: boolean;
  /** Where the server writes its log; a temporary file when not given. */
  readonly logFile?: string;
  /** Further lines of its configuration: users, routes of a cluster. */
  readonly configuration?: readonly string[];
  /** A user of that configuration, as whom `url` connects. */
  readonly user?: { readonly user: string; readonly password: string };
  /** A command that runs the program given behind it, such as `nsenter …`. */
  readonly through?: readonly [string, ...string[]];
  /** Told once when the program has to be downloaded first. */
  readonly onDownload?: () => void;
  /** Told when the server ends although nobody here asked it to: `exit code 1` or a signal's name. */
  readonly onUnexpectedExit?: (how: string) => void;
}

/** A running NATS server with JetStream. */
export interface RunningNats {
  /** `nats://127.0.0.1:port`, with the user where one was given; stays the same over restarts. */
  readonly url: string;
  /** `undefined` when the server is not ours or is down. */
  readonly pid: number | undefined;
  /** JetStream's folder: may be changed or wiped while the server is down. */
  readonly storeDir: string;
  /** Sends a signal and, unless it is SIGSTOP or SIGCONT, waits for the server's end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again on the same folder and port, stopping it first when it runs. */
  restart(): Promise<void>;
  /** Stops the server if it is ours, and removes its temporary folder. */
  stop(): Promise<void>;
}

/**
 * It takes a second; but it greets only when it has read its streams, and killing it then would only make it
 * begin again.
 */
const START_TIMEOUT_MS = 150_000;
const STOP_TIMEOUT_MS = 10_000;
const START_ATTEMPTS = 5;
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

/**
 * A real nats-server with JetStream on disk: the one in `TEST_NATS_URL` or `NATS_URL`, else one of our own on
 * 127.0.0.1 that ends with this process, whatever ends it. Messages up to 8 MB.
 *
 * @throws NatsServerMissingError when there is no program to start
 * @throws Error with the end of the server's log when it does not answer within 150 s
 */
export async function startNats(options: StartNatsOptions = {}): Promise<RunningNats> {
  const given = process.env['TEST_NATS_URL'] ?? process.env['NATS_URL'];
  if (given !== undefined && given !== '' && options.own !== true) return foreignServer(given);
  const program = await resolveNatsServer(
    options.onDownload === undefined ? {} : { onDownload: options.onDownload },
  );
  const workDir = await mkdtemp(join(tmpdir(), 'sync-nats-'));
  const server = new OwnServer(program, workDir, options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

function foreignServer(url: string): RunningNats {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new Error('This NATS server was started by somebody else: start your own with { own: true }'),
    );
  return { url, pid: undefined, storeDir: '', kill: refuse, restart: refuse, stop: () => Promise.resolve() };
}

class OwnServer implements RunningNats {
  readonly storeDir: string;
  readonly #command: readonly [string, ...string[]];
  readonly #workDir: string;
  readonly #logFile: string;
  readonly #lines: readonly string[];
  readonly #user: string;
  readonly #onUnexpectedExit: ((how: string) => void) | undefined;
  #port: number | undefined;
  #process: ChildProcess | undefined;
  #watchdog: Watchdog | undefined;

  constructor(program: string, workDir: string, options: StartNatsOptions) {
    this.storeDir = options.storeDir ?? join(workDir, 'store');
    this.#command = options.through === undefined ? [program] : [...options.through, program];
    this.#workDir = workDir;
    this.#logFile = options.logFile ?? join(workDir, 'server.log');
    this.#lines = options.configuration ?? [];
    this.#user = options.user === undefined ? '' : `${options.user.user}:${options.user.password}@`;
    this.#port = options.port;
    this.#onUnexpectedExit = options.onUnexpectedExit;
  }

  get url(): string {
    return `nats://${this.#user}127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * The port is chosen here and not by the server (`-p -1`), so that it is one that a restart can have again.
   */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const port = this.#port ?? (await freePort());
      try {
        await this.#startOn(port);
        return;
      } catch (error) {
        const taken = error instanceof Error && error.message.includes('address already in use');
        if (!taken || this.#port !== undefined || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process;
    if (server === undefined) return;
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') {
      server.kill(signal);
      return;
    }
    this.#process = undefined;
    this.#watchdog?.release();
    server.ref(); // it was let go of so as not to keep its starter alive; now its end is waited for
    server.kill(signal);
    server.kill('SIGCONT'); // a stopped process takes no signal but SIGKILL
    const timer = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exitOf(server);
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.kill('SIGTERM');
    await this.start();
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM');
    await rm(this.#workDir, { recursive: true, force: true });
  }

  async #startOn(port: number): Promise<void> {
    const config = join(this.#workDir, 'nats.conf');
    await mkdir(this.storeDir, { recursive: true });
    const name = `sync-${randomUUID()}`;
    await writeFile(config, configuration(name, port, this.storeDir, this.#lines));
    const log = openSync(this.#logFile, 'a');
    const [program, ...args] = this.#command;
    const server = spawn(program, [...args, '-c', config], { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    server.unref();
    const ended = exitOf(server);
    this.#process = server;
    // From now on and not only when it is ready: one that reads its streams for minutes must not outlive us
    // either.
    this.#watchdog = server.pid === undefined ? undefined : watchOver(server.pid, 'TERM', this.#workDir);
    let ready = false;
    void ended.then((how) => {
      if (this.#process !== server) return;
      this.#process = undefined;
      this.#watchdog?.release(); // the number of a process that is gone may soon be somebody else's
      if (ready) this.#onUnexpectedExit?.(how);
    });
    try {
      await untilReady(ended, port, name);
      ready = true;
      this.#port = port;
    } catch (error) {
      await this.kill('SIGKILL');
      const tail = (await readFile(this.#logFile, 'utf8')).split('\n').slice(-15).join('\n');
      throw new Error(`nats-server did not start on port ${port}: ${String(error)}\n${tail}`, {
        cause: error,
      });
    }
  }
}

/**
 * JSON strings are valid in the server's configuration language, so no path needs quoting rules of its own.
 */
function configuration(name: string, port: number, storeDir: string, lines: readonly string[]): string {
  return [
    `server_name: ${name}`,
    'host: 127.0.0.1',
    `port: ${port}`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    `jetstream { store_dir: ${JSON.stringify(storeDir)} }`,
    ...lines,
    '',
  ].join('\n');
}

async function untilReady(ended: Promise<string>, port: number, name: string): Promise<void> {
  let how: string | undefined;
  void ended.then((reason) => (how = reason));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await greets(port, name))) {
    if (how !== undefined) throw new Error(`it ended with ${how}`);
    if (Date.now() > deadline) throw new Error(`not ready after ${START_TIMEOUT_MS} ms`);
    await sleep(20);
  }
}

/**
 * A server that accepts clients speaks first, `INFO {…}`, and only after JetStream has recovered its streams.
 * The name in it tells our server from another one that already had the port.
 */
function greets(port: number, name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 });
    const answer = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.once('data', (data) => answer(data.toString().includes(`"server_name":"${name}"`)));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
    socket.once('close', () => answer(false));
  });
}
