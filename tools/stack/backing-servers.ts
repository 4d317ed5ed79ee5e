import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startNats, type RunningNats } from '@sync/messaging/testing';
import { provision, type ProvisionedDatabase } from '@sync/postgres';
import { startPostgres, type RunningPostgres } from '@sync/postgres/testing';
import type { ServiceRights } from '@sync/protocol';
import { accountLines, type PublicKeys } from '../deployment/nats-account.ts';
import { newMasterKey, newSeed, publicKeyOf } from '../deployment/write-secrets.ts';

/** What the processes stand on. */
export interface BackingServers {
  /** `undefined` when every database was given by its own URL. */
  readonly postgres: RunningPostgres | undefined;
  readonly nats: RunningNats;
  /** The seed of each service's nkey; empty where NATS is somebody else's. */
  readonly nkeySeeds: ReadonlyMap<string, string>;
  /** A line of `MASTER_KEYS`, kept with the data; `undefined` when Postgres is somebody else's. */
  readonly masterKey: string | undefined;
  /** By database name. */
  readonly databases: ReadonlyMap<string, ProvisionedDatabase>;
  /** Stops both; nothing is started again. */
  stop(): Promise<void>;
}

/** Options of {@link startBackingServers}. */
export interface BackingOptions {
  readonly databases: readonly string[];
  /** Everybody who gets an identity in a NATS of ours. */
  readonly services: readonly string[];
  /** Folder of logs. */
  readonly logDir: string;
  /** Keeps the data between starts when given. */
  readonly dataDir: string | undefined;
  /** One line per finished step. */
  readonly progress: (message: string) => void;
  /** Told when a server of ours died and when it is back. */
  readonly report: (message: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of a Postgres of ours, beside those it always has. */
  readonly postgresSettings: Readonly<Record<string, string>> | undefined;
}

/** Who is who on the reference platform, here and in `infra/compose.yaml`. */
const RIGHTS = JSON.parse(
  readFileSync(new URL('../../infra/services.json', import.meta.url), 'utf8'),
) as ServiceRights;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;

/**
 * Starts Postgres and NATS, or uses those that the environment names (`DATABASE_ADMIN_URL`, `NATS_URL`), and
 * creates one database per app. `DATABASE_URL_<DATABASE>` with `DATABASE_OWNER_URL_<DATABASE>` give one app
 * an existing database.
 *
 * A server of ours that dies is started again on the same data and port.
 */
export async function startBackingServers(options: BackingOptions): Promise<BackingServers> {
  const given = givenDatabases(options);
  const missing = options.databases.filter((name) => !given.has(name));
  if (options.dataDir !== undefined) await mkdir(options.dataDir, { recursive: true });
  const nkeySeeds = isUnset(options.env['NATS_URL'])
    ? makeNkeys(options.services)
    : new Map<string, string>();
  const masterKey = await masterKeyOf(options, given);
  const unwanted = new AbortController();
  const [postgres, nats] = await settleAll([
    missing.length === 0 ? Promise.resolve(undefined) : launchPostgres(options, unwanted.signal),
    launchNats(options, nkeySeeds, unwanted.signal),
  ]);
  const databases = new Map(given);
  if (postgres !== undefined) {
    const { adminUrl } = postgres;
    await Promise.all(missing.map(async (name) => databases.set(name, await provision({ adminUrl, name }))));
    options.progress(`${missing.length} databases with two roles each`);
  }
  const stop = async (): Promise<void> => {
    unwanted.abort();
    await nats.stop();
    await postgres?.stop();
  };
  return { postgres, nats, nkeySeeds, masterKey, databases, stop };
}

/** What one start sealed the next one has to open. */
async function masterKeyOf(
  { env, dataDir }: BackingOptions,
  given: ReadonlyMap<string, unknown>,
): Promise<string | undefined> {
  if (!isUnset(env['DATABASE_ADMIN_URL']) || given.size > 0) return undefined;
  const made = newMasterKey('stack');
  if (dataDir === undefined) return made;
  const file = join(dataDir, 'master-key');
  if (!existsSync(file)) await writeFile(file, `${made}\n`, { mode: 0o600 });
  return (await readFile(file, 'utf8')).trim();
}

/** Waits for both even if one fails, and stops the other: half a stack would stay behind otherwise. */
async function settleAll(
  starting: [Promise<RunningPostgres | undefined>, Promise<RunningNats>],
): Promise<[RunningPostgres | undefined, RunningNats]> {
  const [postgres, nats] = await Promise.allSettled(starting);
  if (postgres.status === 'fulfilled' && nats.status === 'fulfilled') return [postgres.value, nats.value];
  if (postgres.status === 'fulfilled') await postgres.value?.stop();
  if (nats.status === 'fulfilled') await nats.value.stop();
  throw postgres.status === 'rejected' ? postgres.reason : (nats as PromiseRejectedResult).reason;
}

function givenDatabases({ databases, env }: BackingOptions): Map<string, ProvisionedDatabase> {
  const given = new Map<string, ProvisionedDatabase>();
  for (const name of databases) {
    const suffix = name.toUpperCase();
    const appUrl = env[`DATABASE_URL_${suffix}`];
    if (appUrl === undefined || appUrl === '') continue;
    given.set(name, { appUrl, ownerUrl: env[`DATABASE_OWNER_URL_${suffix}`] ?? '' });
  }
  return given;
}

async function launchPostgres(options: BackingOptions, unwanted: AbortSignal): Promise<RunningPostgres> {
  const { dataDir, logDir, env, postgresSettings = {} } = options;
  const revive = reviver('Postgres', options, () => postgres, unwanted);
  const postgres = await startPostgres({
    own: isUnset(env['DATABASE_ADMIN_URL']),
    ...(dataDir === undefined ? {} : { dataDir: join(dataDir, 'postgres') }),
    logFile: join(logDir, 'postgres.log'),
    settings: postgresSettings,
    onUnexpectedExit: revive,
  });
  options.progress(`Postgres on ${new URL(postgres.adminUrl).host}`);
  return postgres;
}

/**
 * With an identity for every service, as in production ({@link accountLines}). `url` connects as a developer, who
 * may do everything: for tests, and for services that are being written.
 */
async function launchNats(
  options: BackingOptions,
  nkeySeeds: ReadonlyMap<string, string>,
  unwanted: AbortSignal,
): Promise<RunningNats> {
  const { dataDir, logDir, env } = options;
  const developer = { user: 'developer', password: randomBytes(16).toString('hex') };
  const account = { account: 'SYNC', rights: RIGHTS, keys: publicKeysOf(nkeySeeds), developer };
  const revive = reviver('NATS', options, () => nats, unwanted);
  const nats = await startNats({
    own: isUnset(env['NATS_URL']),
    configuration: accountLines(account),
    user: developer,
    ...(dataDir === undefined ? {} : { storeDir: join(dataDir, 'nats') }),
    logFile: join(logDir, 'nats.log'),
    onUnexpectedExit: revive,
    onDownload: () => options.progress('nats-server is not installed: fetching the system package once'),
  });
  options.progress(`NATS with JetStream on ${new URL(nats.url).host}`);
  return nats;
}

function makeNkeys(services: readonly string[]): Map<string, string> {
  return new Map(services.map((service) => [service, newSeed()]));
}

function publicKeysOf(seeds: ReadonlyMap<string, string>): PublicKeys {
  return Object.fromEntries([...seeds].map(([service, seed]) => [service, [publicKeyOf(seed)]]));
}

/** A stack inside a test run must not move into that run's shared servers, whose names other tests use. */
export function isUnset(value: string | undefined): boolean {
  return value === undefined || value === '';
}

interface Restartable {
  restart(): Promise<void>;
}

/** Tries until it runs again, or nobody wants it any more: a full disk or a taken port may pass. */
function reviver(name: string, { report }: BackingOptions, server: () => Restartable, unwanted: AbortSignal) {
  const isUnwanted = (): boolean => unwanted.aborted;
  const revive = async (): Promise<void> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      await sleep(pauseMs, undefined, { ref: false });
      if (isUnwanted()) return;
      try {
        await server().restart();
        report(`${name} is back`);
        return;
      } catch (error) {
        if (!isUnwanted()) report(`${name} does not start, trying again: ${String(error)}`);
      }
    }
  };
  return (how: string): void => {
    report(`${name} ended unexpectedly (${how}), starting it again`);
    void revive();
  };
}
