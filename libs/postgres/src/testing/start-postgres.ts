import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { exitOf } from './exit-of.ts';
import { freePort } from './free-port.ts';
import { everybodyMayEnter, findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { watchOver, type Watchdog } from './watch-over.ts';

/** Options of {@link startPostgres}. */
export interface StartPostgresOptions {
  /**
   * false switches fsync off: several times faster, and a crash of the machine may lose data. Default true.
   */
  readonly durable?: boolean;
  /** Keeps the data here between starts; a temporary folder, removed at the end, when not given. */
  readonly dataDir?: string;
  /** Starts a server of our own even when the environment names one: for tests that kill it. */
  readonly own?: boolean;
  /** An ephemeral port when not given. */
  readonly port?: number;
  /** Settings beside those it always has. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the server writes its log; inside its data folder when not given. */
  readonly logFile?: string;
  /**
   * How long the server may be silent when it starts, default 150 s. One that says that it is recovering has
   * any time.
   */
  readonly silenceLimitMs?: number;
  /** Told when the server ends although nobody here asked it to: `exit code 1` or a signal's name. */
  readonly onUnexpectedExit?: (how: string) => void;
}

/** A running Postgres. */
export interface RunningPostgres {
  /** URL of a role that may do everything. */
  readonly adminUrl: string;
  /** The postmaster's process id; `undefined` when the server is not ours. */
  readonly pid: number | undefined;
  /**
   * Sends a signal to the postmaster and waits for its end. SIGKILL, SIGSTOP and SIGCONT go to its backends
   * as well. A backend that outlives its postmaster for a moment may still answer, and even commit. Stopped
   * ones answer nobody, and nothing tells clients that there will be no answer.
   */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the server again on the same data and port. */
  restart(): Promise<void>;
  /** Stops the server if it is ours, and removes its temporary data. */
  stop(): Promise<void>;
}

/** A start takes a second; a machine that is busy with several test runs was seen to take thirty. */
const SILENCE_LIMIT_MS = 150_000;
/** The last checkpoint of a new cluster flushes thousands of files: 9 s were measured on a busy disk. */
const STOP_TIMEOUT_MS = 60_000;
const START_ATTEMPTS = 10;

/**
 * A real Postgres: the one in `TEST_DATABASE_URL` or `DATABASE_ADMIN_URL`, else one of our own on 127.0.0.1
 * (300 connections, UTF8, C locale) that ends with this process, whatever ends it.
 *
 * @throws Error with the end of the server's log when it ends, or says nothing for 150 s; one that recovers
 * from a crash is waited for
 */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<RunningPostgres> {
  const given = process.env['TEST_DATABASE_URL'] ?? process.env['DATABASE_ADMIN_URL'];
  if (given !== undefined && given !== '' && options.own !== true) return foreignServer(given);
  const server = await OwnServer.create(options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

function foreignServer(adminUrl: string): RunningPostgres {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new Error('This Postgres was started by somebody else: start your own with { own: true }'),
    );
  return { adminUrl, pid: undefined, kill: refuse, restart: refuse, stop: () => Promise.resolve() };
}

class OwnServer implements RunningPostgres {
  readonly #options: StartPostgresOptions;
  readonly #binaries: PostgresBinaries;
  readonly #dataDir: string;
  readonly #password: string;
  #port: number | undefined;
  #process: ChildProcess | undefined;
  /** Backends that got SIGSTOP. */
  #stopped: number[] = [];
  #watchdog: Watchdog | undefined;

  private constructor(
    options: StartPostgresOptions,
    binaries: PostgresBinaries,
    dataDir: string,
    password: string,
  ) {
    this.#options = options;
    this.#binaries = binaries;
    this.#dataDir = dataDir;
    this.#password = password;
    this.#port = options.port;
  }

  static async create(options: StartPostgresOptions): Promise<OwnServer> {
    const binaries = await findPostgresBinaries();
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sync-postgres-')));
    const password = await initialize(binaries, dataDir);
    return new OwnServer(options, binaries, dataDir, password);
  }

  get adminUrl(): string {
    return `postgres://postgres:${this.#password}@127.0.0.1:${this.#port}/postgres`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Postgres cannot choose a port itself, so a free one is asked for and, when lost to somebody else,
   * another.
   */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const port = this.#port ?? (await freePort());
      try {
        await this.#startOn(port);
        return;
      } catch (error) {
        const reason = error instanceof Error ? error.message : '';
        const portTaken = this.#port === undefined && reason.includes('could not bind');
        // After SIGKILL the backends need a moment to notice that their postmaster is gone.
        const stillEnding = reason.includes('pre-existing shared memory block');
        if (attempt === START_ATTEMPTS || !(portTaken || stillEnding)) throw error;
        await sleep(100 * attempt);
      }
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process;
    if (server === undefined) return;
    if (signal === 'SIGSTOP') {
      // The server first, so that it starts no further backend meanwhile. Each backend is a process group of
      // its own.
      server.kill(signal);
      this.#stopped = await childrenOf(server);
      for (const pid of this.#stopped) signalIfAlive(pid, signal);
      return;
    }
    // A stopped process takes no signal but SIGKILL.
    for (const pid of this.#stopped.splice(0)) signalIfAlive(pid, 'SIGCONT');
    if (signal === 'SIGCONT') {
      server.kill(signal);
      return;
    }
    this.#process = undefined;
    this.#watchdog?.release();
    server.ref(); // it was let go of so as not to keep its starter alive; now its end is waited for
    const backends = signal === 'SIGKILL' ? await childrenOf(server) : [];
    server.kill(signal);
    server.kill('SIGCONT');
    for (const pid of backends) signalIfAlive(pid, signal);
    await exitOf(server);
  }

  async restart(): Promise<void> {
    await this.kill('SIGINT');
    await this.start();
  }

  async stop(): Promise<void> {
    const server = this.#process;
    // SIGINT is Postgres' fast shutdown, which writes everything to disk; data that is removed next need not
    // be (SIGQUIT).
    const stopped = this.kill(this.#options.dataDir === undefined ? 'SIGQUIT' : 'SIGINT');
    const inTime = await Promise.race([
      stopped.then(() => true),
      sleep(STOP_TIMEOUT_MS, false, { ref: false }),
    ]);
    if (!inTime) server?.kill('SIGKILL');
    await stopped;
    if (this.#options.dataDir === undefined) await rm(this.#dataDir, { recursive: true, force: true });
  }

  async #startOn(port: number): Promise<void> {
    const logFile = this.#options.logFile ?? join(this.#dataDir, 'server.log');
    const log = openSync(logFile, 'a');
    const server = spawn(this.#binaries.postgres, serverFlags(this.#dataDir, port, this.#options), {
      ...this.#binaries.user,
      cwd: this.#dataDir,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, LC_ALL: 'C' },
    });
    closeSync(log);
    server.unref();
    const ended = exitOf(server);
    this.#process = server;
    const temporary = this.#options.dataDir === undefined ? this.#dataDir : undefined;
    // From now on and not only when it is ready: one that recovers for minutes must not outlive us either.
    this.#watchdog = server.pid === undefined ? undefined : watchOver(server.pid, 'INT', temporary);
    let ready = false;
    void ended.then((how) => {
      if (this.#process !== server) return;
      this.#process = undefined;
      this.#watchdog?.release(); // the number of a process that is gone may soon be somebody else's
      if (ready) this.#options.onUnexpectedExit?.(how);
    });
    try {
      await untilReady(ended, port, this.#password, this.#options.silenceLimitMs ?? SILENCE_LIMIT_MS);
      ready = true;
      this.#port = port;
    } catch (error) {
      await this.kill('SIGKILL');
      const tail = (await readFile(logFile, 'utf8')).split('\n').slice(-15).join('\n');
      throw new Error(`Postgres did not start on port ${port}: ${String(error)}\n${tail}`, { cause: error });
    }
  }
}

async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([child, parent]) => (child !== undefined && parent === pid ? [child] : []));
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

function serverFlags(
  dataDir: string,
  port: number,
  { durable = true, settings: further = {} }: StartPostgresOptions,
): string[] {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=300',
    // The default writes back 16 GB worth of WAL before a checkpoint recycles it; a laptop's temporary folder
    // is smaller.
    'max_wal_size=512MB',
    // With the default of 128 MB eight databases push each other's pages out, and every write then writes
    // somebody else's page first.
    'shared_buffers=256MB',
    ...(durable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
    ...Object.entries(further).map(([name, value]) => `${name}=${value}`),
  ];
  return ['-D', dataDir, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
}

/**
 * Creates the cluster unless the folder has one, and answers with the admin's password, which is kept beside
 * the data.
 */
async function initialize(binaries: PostgresBinaries, dataDir: string): Promise<string> {
  const passwordFile = join(dataDir, 'admin-password');
  if (existsSync(join(dataDir, 'PG_VERSION'))) return (await readFile(passwordFile, 'utf8')).trim();
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o700);
  if (binaries.user !== undefined) {
    if (!(await everybodyMayEnter(dirname(dataDir)))) {
      throw new Error(
        `${dataDir} is in a folder that only root may enter, and Postgres never runs as root: choose another`,
      );
    }
    await chown(dataDir, binaries.user.uid, binaries.user.gid);
  }
  const password = randomBytes(16).toString('hex');
  // initdb wants an empty folder, so the password waits outside until the cluster exists.
  const secret = await mkdtemp(join(tmpdir(), 'sync-initdb-'));
  try {
    const pwfile = join(secret, 'password');
    await writeFile(pwfile, password, { mode: 0o600 });
    if (binaries.user !== undefined) {
      await chown(secret, binaries.user.uid, binaries.user.gid);
      await chown(pwfile, binaries.user.uid, binaries.user.gid);
    }
    await runInitdb(binaries, dataDir, pwfile);
  } finally {
    await rm(secret, { recursive: true, force: true });
  }
  await writeFile(passwordFile, password, { mode: 0o600 });
  return password;
}

async function runInitdb(binaries: PostgresBinaries, dataDir: string, pwfile: string): Promise<void> {
  const flags = ['-D', dataDir, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${pwfile}`];
  const initdb = spawn(
    binaries.initdb,
    [...flags, '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'],
    {
      ...binaries.user,
      cwd: dataDir,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    },
  );
  let output = '';
  initdb.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const how = await exitOf(initdb);
  if (how !== 'exit code 0') throw new Error(`initdb in ${dataDir} ended with ${how}:\n${output}`);
}

/** Postgres' code for: not now, because it starts up, recovers from a crash, or shuts down. */
const CANNOT_CONNECT_NOW = '57P03';

/**
 * Killing a server that recovers would only make it begin again, hence no limit for that: its log says how
 * far it is.
 */
async function untilReady(
  ended: Promise<string>,
  port: number,
  password: string,
  silenceLimitMs: number,
): Promise<void> {
  let how: string | undefined;
  void ended.then((reason) => (how = reason));
  let heardMs = Date.now();
  for (;;) {
    const obstacle = await tryToConnect(port, password);
    if (obstacle === undefined) return;
    if (how !== undefined) throw new Error(`it ended with ${how}`);
    const recovering = obstacle.code === CANNOT_CONNECT_NOW;
    if (recovering) heardMs = Date.now();
    if (Date.now() - heardMs > silenceLimitMs) {
      throw new Error(`not ready after ${silenceLimitMs} ms: ${obstacle.message}`);
    }
    await sleep(recovering ? 250 : 25);
  }
}

/** @returns why there is no connection yet, or `undefined` when there is one */
async function tryToConnect(
  port: number,
  password: string,
): Promise<{ readonly code: unknown; readonly message: string } | undefined> {
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return undefined;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { code, message: String(message) };
  }
}
