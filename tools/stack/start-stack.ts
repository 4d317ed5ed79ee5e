import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ProvisionedDatabase } from '@sync/postgres';
import {
  freePort,
  isFree,
  removeAtOurDeath,
  type RunningPostgres,
  type Watchdog,
} from '@sync/postgres/testing';
import type { RunningNats } from '@sync/messaging/testing';
import { isUnset, startBackingServers, type BackingServers } from './backing-servers.ts';
import { compileWorkspace } from './compile.ts';
import { SERVICES, type ServiceDefinition } from './services.ts';
import { ProcessStartError, SupervisedProcess } from './supervised-process.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** What the names of copies end with: `projector-2`. */
const COPY = /-\d+$/;

/** Options of {@link startStack}; all have defaults. */
export interface StackOptions {
  /** Keeps data and logs here; a temporary folder, removed at the end, when not given. */
  readonly dataDir?: string;
  /** Port of the gateway; every port is a free one when not given. */
  readonly gatewayPort?: number;
  /** false when the caller has compiled already. */
  readonly compile?: boolean;
  readonly logLevel?: string;
  /** How long one process may take to be ready at the start; default 300 s. */
  readonly startLimitMs?: number;
  /** Environment of every process, beside what the stack sets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Settings of Postgres beside those it always has, when it is ours. */
  readonly postgresSettings?: Readonly<Record<string, string>>;
  /** One line per finished step of the start. */
  readonly progress?: (message: string) => void;
  /** One line whenever something ends unasked or comes back later. */
  readonly report?: (message: string) => void;
  /** Another set of processes: for tests of the stack itself. */
  readonly services?: readonly ServiceDefinition[];
}

/** A running stack. Processes are called by their name (`projector`) or app (`delta-projector`). */
export interface Stack {
  /** Base URL by name, also of `nats` and `postgres` (as administrator). */
  readonly urls: Readonly<Record<string, string>>;
  /** Where health and metrics of each process are. */
  readonly opsUrls: Readonly<Record<string, string>>;
  /**
   * Process ids by name now, `nats` and `postgres` included when they are ours; copies are `projector-2`, …
   */
  readonly pids: Readonly<Record<string, number>>;
  /** By database name. */
  readonly databases: Readonly<Record<string, ProvisionedDatabase>>;
  /** The seeds of the services' nkeys, by app; empty where NATS is somebody else's. */
  readonly nkeySeeds: Readonly<Record<string, string>>;
  readonly logDir: string;
  /** The servers below, for what `kill` cannot do: wipe a store while it is down. */
  readonly nats: RunningNats;
  readonly postgres: RunningPostgres | undefined;
  /** Sends a signal; whatever it ends stays down until `restart`. Also for `nats` and `postgres`. */
  kill(name: string, signal: NodeJS.Signals): Promise<void>;
  /**
   * Starts it again on the same port, draining it first when it runs.
   * @param root a checkout of another version, compiled: the service comes back as that one
   */
  restart(name: string, root?: string): Promise<void>;
  /**
   * Runs `count` copies of a service, each on a port of its own: whoever sends requests to all of them has to
   * share them out.
   */
  scale(name: string, count: number): Promise<void>;
  /** Stops processes, NATS and Postgres in this order, and removes temporary data. */
  stop(): Promise<void>;
}

/** Thrown for what the user can repair: a taken port, a missing compiled file. */
export class StackError extends Error {
  override readonly name = 'StackError';
}

/**
 * Starts Postgres, NATS and every service of the platform, and answers when all are ready.
 *
 * @throws StackError, ProcessStartError or what a server's start says; everything started so far is stopped
 * before
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { services = SERVICES, progress = () => undefined, report = () => undefined } = options;
  if (options.gatewayPort !== undefined && !(await isFree(options.gatewayPort))) {
    throw new StackError(`Port ${options.gatewayPort} is taken: choose another with --port, or leave it out`);
  }
  if (options.compile !== false) {
    const compiled = await compileWorkspace(ROOT);
    progress(compiled ? 'compiled' : 'compiled code is up to date');
  }
  const missing = services.filter((service) => !existsSync(resolve(ROOT, service.entry)));
  if (missing.length > 0) {
    throw new StackError(`${missing.map(({ entry }) => entry).join(', ')} missing: run "npm run build"`);
  }
  const workDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sync-stack-')));
  const logDir = join(workDir, 'logs');
  await mkdir(logDir, { recursive: true });
  const backing = await startBackingServers({
    databases: services.map((service) => service.database),
    services: services.map((service) => service.app),
    logDir,
    dataDir: options.dataDir,
    progress,
    report,
    env: process.env,
    postgresSettings: options.postgresSettings,
  });
  const stack = new RunningStack({ ...options, services, report }, backing, workDir);
  try {
    await stack.start(progress);
  } catch (error) {
    // The message of a failed start names a log that the user wants to read.
    await stack.stop({ keepLogs: error instanceof ProcessStartError });
    throw error;
  }
  return stack;
}

type ResolvedOptions = StackOptions & Required<Pick<StackOptions, 'services' | 'report'>>;

class RunningStack implements Stack {
  readonly logDir: string;
  readonly #options: ResolvedOptions;
  readonly #backing: BackingServers;
  readonly #workDir: string;
  readonly #watchdog: Watchdog | undefined;
  readonly #processes = new Map<string, SupervisedProcess>();
  readonly #ports = new Map<string, number>();
  readonly #opsPorts = new Map<string, number>();

  constructor(options: ResolvedOptions, backing: BackingServers, workDir: string) {
    this.#options = options;
    this.#backing = backing;
    this.#workDir = workDir;
    this.logDir = join(workDir, 'logs');
    this.#watchdog = options.dataDir === undefined ? removeAtOurDeath(workDir) : undefined;
  }

  get nats(): RunningNats {
    return this.#backing.nats;
  }

  get postgres(): RunningPostgres | undefined {
    return this.#backing.postgres;
  }

  get databases(): Readonly<Record<string, ProvisionedDatabase>> {
    return Object.fromEntries(this.#backing.databases);
  }

  get opsUrls(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#processes].map(([name, { opsUrl }]) => [name, opsUrl]));
  }

  get nkeySeeds(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#backing.nkeySeeds);
  }

  get urls(): Readonly<Record<string, string>> {
    const { nats, postgres } = this.#backing;
    const urls: Record<string, string> = { nats: nats.url, postgres: postgres?.adminUrl ?? '' };
    for (const [name, process] of this.#processes) urls[name] = process.url;
    return urls;
  }

  get pids(): Readonly<Record<string, number>> {
    const { nats, postgres } = this.#backing;
    const all = [...this.#processes, ['nats', nats], ['postgres', postgres]] as const;
    return Object.fromEntries(
      all.flatMap(([name, one]) => (one?.pid === undefined ? [] : [[name, one.pid]])),
    );
  }

  /**
   * All at once: who needs whom is settled by waiting inside the services, and ports are known before anyone
   * listens.
   */
  async start(progress: (message: string) => void): Promise<void> {
    const { services, gatewayPort } = this.#options;
    for (const { name } of services) {
      this.#ports.set(name, name === 'gateway' && gatewayPort !== undefined ? gatewayPort : await freePort());
      this.#opsPorts.set(name, await freePort());
    }
    const starting = services.map(async (service) => {
      await this.#add(service.name, service).start();
      progress(`${service.app} on ${this.urls[service.name] ?? ''}`);
    });
    await Promise.all(starting);
  }

  async kill(name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#named(name).kill(signal);
  }

  async restart(name: string, root = ROOT): Promise<void> {
    const found = this.#named(name);
    if (!(found instanceof SupervisedProcess)) return found.restart();
    await found.stop();
    await found.start(resolve(root, this.#service(name.replace(COPY, '')).entry));
  }

  async scale(name: string, count: number): Promise<void> {
    const service = this.#service(name);
    if (!Number.isInteger(count) || count < 1 || count > 16) {
      throw new RangeError(`${name} can have 1 to 16 copies, not ${count}`);
    }
    const copies = [...this.#processes.keys()].filter((key) => key.startsWith(`${service.name}-`));
    for (const copy of copies) {
      if (Number(copy.slice(service.name.length + 1)) <= count) continue;
      await this.#processes.get(copy)?.stop();
      this.#processes.delete(copy);
    }
    const wanted = Array.from({ length: count - 1 }, (_none, index) => `${service.name}-${index + 2}`);
    const added = wanted.filter((copy) => !this.#processes.has(copy));
    for (const copy of added) {
      this.#ports.set(copy, await freePort());
      this.#opsPorts.set(copy, await freePort());
    }
    await Promise.all(added.map((copy) => this.#add(copy, service).start()));
  }

  async stop({ keepLogs = false }: { keepLogs?: boolean } = {}): Promise<void> {
    // Gateways first: their open requests are answered by the others.
    const gateways = [...this.#processes].filter(([name]) => name.replace(COPY, '') === 'gateway');
    await Promise.all(gateways.map(([, process]) => process.stop()));
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
    await this.#backing.stop();
    this.#watchdog?.release();
    if (this.#options.dataDir === undefined && !keepLogs) {
      await rm(this.#workDir, { recursive: true, force: true });
    }
  }

  #add(name: string, service: ServiceDefinition): SupervisedProcess {
    const entry = resolve(ROOT, service.entry);
    if (!existsSync(entry))
      throw new StackError(`${service.app} has no ${service.entry}: run "npm run build"`);
    const process = new SupervisedProcess({
      name,
      entry,
      env: this.#environmentOf(name, service),
      logFile: join(this.logDir, `${name}.log`),
      report: this.#options.report,
      ...(this.#options.startLimitMs === undefined ? {} : { startLimitMs: this.#options.startLimitMs }),
    });
    this.#processes.set(name, process);
    return process;
  }

  #environmentOf(name: string, service: ServiceDefinition): Record<string, string> {
    const database = this.#backing.databases.get(service.database);
    const identityPort = this.#ports.get('identity');
    return {
      // Nothing here stands behind a balancer, unless a test says so.
      DRAIN_READINESS_MS: process.env['DRAIN_READINESS_MS'] ?? '0',
      // Pages that somebody is developing on this machine.
      CORS_ORIGINS: process.env['CORS_ORIGINS'] ?? 'http://localhost:*,http://127.0.0.1:*',
      ...this.#options.env,
      HOST: '127.0.0.1',
      PORT: String(this.#ports.get(name) ?? 0),
      OPS_PORT: String(this.#opsPorts.get(name) ?? 0),
      ...this.#natsOf(service),
      ...this.#masterKeysOf(service),
      DATABASE_URL: database?.appUrl ?? '',
      DATABASE_OWNER_URL: database?.ownerUrl ?? '',
      IDENTITY_URL: process.env['IDENTITY_URL'] ?? `http://127.0.0.1:${identityPort ?? 0}`,
      LOG_LEVEL: this.#options.logLevel ?? process.env['LOG_LEVEL'] ?? 'info',
    };
  }

  #natsOf({ app }: ServiceDefinition): Record<string, string> {
    const seed = this.#backing.nkeySeeds.get(app);
    const { url } = this.#backing.nats;
    // The user in the URL is the developer's.
    return seed === undefined
      ? { NATS_URL: url }
      : { NATS_URL: `nats://${new URL(url).host}`, NATS_NKEY_SEED: seed };
  }

  /** With a Postgres that outlives the stack, they are whatever the environment says: `MASTER_KEYS`. */
  #masterKeysOf({ sealsKeys }: ServiceDefinition): Record<string, string> {
    const { masterKey } = this.#backing;
    const isOurs = masterKey !== undefined && isUnset(process.env['MASTER_KEYS']);
    return sealsKeys && isOurs ? { MASTER_KEYS: masterKey } : {};
  }

  #named(name: string): SupervisedProcess | RunningNats | RunningPostgres {
    if (name === 'nats') return this.#backing.nats;
    if (name === 'postgres' && this.#backing.postgres !== undefined) return this.#backing.postgres;
    const found = this.#processes.get(name) ?? this.#processes.get(this.#service(name).name);
    if (found === undefined) throw new RangeError(`No process "${name}" in this stack`);
    return found;
  }

  #service(name: string): ServiceDefinition {
    const found = this.#options.services.find((service) => service.name === name || service.app === name);
    if (found === undefined) {
      const known = this.#options.services.map((service) => service.name).join(', ');
      throw new RangeError(`No service "${name}" in this stack (${known})`);
    }
    return found;
  }
}
