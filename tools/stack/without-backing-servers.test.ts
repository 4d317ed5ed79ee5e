import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { Database, provision, type ProvisionedDatabase } from '@sync/postgres';
import { exitOf, freePort, type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import { newMasterKey } from '../deployment/write-secrets.ts';
import { compileWorkspace } from './compile.ts';
import { SERVICES, type ServiceDefinition } from './services.ts';
import { DRAIN_TIMEOUT_MS } from './supervised-process.ts';

jest.setTimeout(300_000);

const ROOT = resolve(import.meta.dirname, '../..');
const APPS = SERVICES.filter(({ entry }) => entry.startsWith('apps/'));

let nats: RunningNats;
let postgres: RunningPostgres;
const databases = new Map<string, ProvisionedDatabase>();
const running: StartedApp[] = [];

beforeAll(async () => {
  await compileWorkspace(ROOT);
  nats = await startNats({ own: true });
  postgres = await startPostgres({ own: true, durable: false });
  const { adminUrl } = postgres;
  for (const { database } of APPS) databases.set(database, await provision({ adminUrl, name: database }));
});
afterEach(async () => {
  await postgres.kill('SIGCONT');
  for (const app of running.splice(0)) app.child.kill('SIGKILL');
});
afterAll(async () => {
  await postgres.stop();
  await nats.stop();
});

interface StartedApp {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
  /** Its log so far. */
  log(): string;
  /** The status and the body of an answer, null while there is none. */
  get(path: string): Promise<readonly [number, string] | null>;
}

/** Ports where nobody is, to look for a part there. */
interface Elsewhere {
  readonly postgres?: number;
  readonly nats?: number;
}

async function start(
  { app, entry, database }: ServiceDefinition,
  elsewhere: Elsewhere = {},
  more: Readonly<Record<string, string>> = {},
): Promise<StartedApp> {
  const urls = databases.get(database);
  const at = (url = '', port?: number): string =>
    port === undefined ? url : Object.assign(new URL(url), { port }).href;
  const [own, ops] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [join(ROOT, entry)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...{
        HOST: '127.0.0.1',
        PORT: String(own),
        OPS_PORT: String(ops),
        DRAIN_READINESS_MS: '0',
        LOG_LEVEL: 'info',
      },
      NATS_URL: at(nats.url, elsewhere.nats),
      IDENTITY_URL: 'http://127.0.0.1:9',
      DATABASE_URL: at(urls?.appUrl, elsewhere.postgres),
      DATABASE_OWNER_URL: at(urls?.ownerUrl, elsewhere.postgres),
      ...more,
    },
  });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const started: StartedApp = {
    name: app,
    child,
    ended: exitOf(child),
    log: () => log,
    get: async (path) => {
      const answer = await fetch(`http://127.0.0.1:${ops}${path}`).catch(() => null);
      return answer && ([answer.status, await answer.text()] as const);
    },
  };
  running.push(started);
  return started;
}

const startAll = (elsewhere?: Elsewhere): Promise<StartedApp[]> =>
  Promise.all(APPS.map((app) => start(app, elsewhere)));

/** Waits until readiness is answered with this status; one that ends instead is told with its log. */
async function untilReadiness(app: StartedApp, status: number): Promise<string> {
  let how = '';
  void app.ended.then((reason) => (how = reason));
  for (;;) {
    const answer = await app.get('/health/ready');
    if (answer?.[0] === status) return answer[1];
    if (how !== '') throw new Error(`${app.name} ended with ${how}:\n${app.log()}`);
    await sleep(50);
  }
}

/** Waits until readiness says that the start waits for this part; what comes before it may take a moment. */
async function untilWaiting(app: StartedApp, part: string): Promise<unknown> {
  for (;;) {
    const ready = JSON.parse(await untilReadiness(app, 503)) as { checks?: readonly { name: string }[] };
    if (ready.checks?.some(({ name }) => name === part) === true) return ready;
    await sleep(50);
  }
}

/** Stops as a deployment does: SIGTERM, and SIGKILL for what does not end. */
async function stop(app: StartedApp): Promise<string> {
  app.child.kill('SIGTERM');
  const timer = setTimeout(() => app.child.kill('SIGKILL'), DRAIN_TIMEOUT_MS);
  const how = await app.ended;
  clearTimeout(timer);
  return `${app.name}: ${how}`;
}

const CLEAN = APPS.map(({ app }) => `${app}: exit code 0`);

it.each([
  ['Postgres is dead', 'postgres', async () => ({ postgres: await freePort() })],
  ['Postgres is silent', 'postgres', () => postgres.kill('SIGSTOP').then(() => ({}))],
  ['NATS is dead', 'nats', async () => ({ nats: await freePort() })],
] as const)(
  'the four apps wait where %s, say so, and stop cleanly meanwhile',
  async (_what, part, takeAway) => {
    const apps = await startAll(await takeAway());
    for (const app of apps) {
      const ready = await untilWaiting(app, part);
      expect([app.name, ready]).toEqual([
        app.name,
        { status: 'not_ready', checks: [expect.objectContaining({ name: part, status: 'failed' })] },
      ]);
      expect([app.name, (await app.get('/health/live'))?.[0]]).toEqual([app.name, 200]);
      expect(app.log()).toContain(`"event":"waiting","part":"${part}"`);
    }
    expect(await Promise.all(apps.map(stop))).toEqual(CLEAN);
  },
);

it('the four apps are ready when a silent Postgres is back, and stop cleanly when it is silent again', async () => {
  await postgres.kill('SIGSTOP');
  const apps = await startAll();
  await Promise.all(apps.map((app) => untilReadiness(app, 503)));
  await postgres.kill('SIGCONT');
  await Promise.all(apps.map((app) => untilReadiness(app, 200)));
  await postgres.kill('SIGSTOP');
  await Promise.all(apps.map((app) => untilReadiness(app, 503)));
  expect(await Promise.all(apps.map(stop))).toEqual(CLEAN);
});

it('a process seals its secrets with a new data key and ends, if it has its master key', async () => {
  const gateway = APPS.find(({ app }) => app === 'sync-gateway');
  if (gateway === undefined) throw new Error('there is no gateway');
  const url = databases.get(gateway.database)?.appUrl ?? '';
  const elsewhere = { nats: await freePort() };
  const rotate = async (masterKeys: string): Promise<string> => {
    const more = { ROTATE_DATA_KEY: 'true', MASTER_KEYS: masterKeys };
    const started = await start(gateway, elsewhere, more);
    return `${await started.ended}: ${started.log()}`;
  };
  const secrets = async (): Promise<unknown> => {
    const database = await Database.connect({ url, applicationName: 'rotation-test' });
    const rows = await database.call(
      'test_secrets',
      'SELECT left(value, 9) AS start FROM gateway_secret',
      [],
    );
    await database.close();
    return rows;
  };
  const masterKey = newMasterKey('k1');
  expect(await rotate(masterKey)).toMatch(/^exit code 0: [\s\S]*"event":"data_key_rotated"/);
  expect(await secrets()).toEqual([{ start: 'sealed:2:' }]);
  expect(await rotate(masterKey)).toMatch(/^exit code 0/);
  expect(await rotate(newMasterKey('k1'))).toMatch(/^exit code 1: [\s\S]*k1 is not the key that wrapped/);
  expect(await secrets()).toEqual([{ start: 'sealed:3:' }]);
});
