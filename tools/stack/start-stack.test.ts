import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Database } from '@sync/postgres';
import { isFree } from '@sync/postgres/testing';
import { masterKeysOf } from '@sync/service-kit';
import type { ServiceDefinition } from './services.ts';
import { StackError, startStack, type Stack, type StackOptions } from './start-stack.ts';
import { ProcessStartError } from './supervised-process.ts';

// Each test starts servers of its own, on machines that may be busy with other test files.
jest.setTimeout(120_000);

const fixture = (name: string, app: string): ServiceDefinition => ({
  name,
  app,
  entry: 'tools/stack/fixture-app.mjs',
  database: name,
});
const SERVICES = [
  { ...fixture('gateway', 'sync-gateway'), sealsKeys: true as const },
  fixture('projector', 'delta-projector'),
  fixture('identity', 'identity'),
];

const reports: string[] = [];
const start = (options: StackOptions = {}): Promise<Stack> =>
  startStack({
    compile: false,
    services: SERVICES,
    report: (message) => reports.push(message),
    ...options,
  });

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(25);
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function environmentOf(stack: Stack, name: string): Promise<Record<string, string>> {
  const answer = await fetch(new URL('/env', stack.urls[name]));
  return (await answer.json()) as Record<string, string>;
}

describe('a running stack', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await start();
  });
  afterAll(() => stack.stop());

  it('tells every url and process id', () => {
    const names = ['gateway', 'identity', 'nats', 'postgres', 'projector'];
    expect(Object.keys(stack.urls).sort()).toEqual(names);
    expect(Object.keys(stack.pids).sort()).toEqual(names);
    expect(Object.values(stack.pids).every(isAlive)).toBe(true);
  });

  it('gives each process its own database, as app and as owner, and the addresses of the others', async () => {
    const env = await environmentOf(stack, 'gateway');
    expect(env['DATABASE_URL']).toBe(stack.databases['gateway']?.appUrl);
    expect(env['DATABASE_OWNER_URL']).toBe(stack.databases['gateway']?.ownerUrl);
    expect(new URL(env['NATS_URL'] ?? '').host).toBe(new URL(stack.urls['nats'] ?? '').host);
    expect(new URL(env['NATS_URL'] ?? '').username).toBe('');
    expect(env['NATS_NKEY_SEED']).toMatch(/^SU/);
    expect(masterKeysOf(env['MASTER_KEYS'] ?? '')?.names).toEqual(['stack']);
    expect((await environmentOf(stack, 'projector'))['MASTER_KEYS']).toBeUndefined();
    expect(env['IDENTITY_URL']).toBe(stack.urls['identity']);
    const database = await Database.connect({
      url: env['DATABASE_URL'] ?? '',
      applicationName: 'stack-test',
    });
    const rows = await database.call('who', 'SELECT current_user::text AS role', []);
    expect(rows).toEqual([{ role: 'gateway_app' }]);
    await database.close();
  });

  it('starts again what ends unasked, on the same url, and says so', async () => {
    const url = stack.urls['projector'];
    const pid = stack.pids['projector'] ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(() => reports.some((line) => line.startsWith('projector is back')));
    expect(reports.join('\n')).toContain('projector ended unexpectedly (SIGKILL)');
    expect(stack.urls['projector']).toBe(url);
    expect(stack.pids['projector']).not.toBe(pid);
    expect((await environmentOf(stack, 'projector'))['PORT']).toBe(new URL(url ?? '').port);
  });

  it('leaves down what was killed on purpose, until restart; by the name of the app too', async () => {
    await stack.kill('delta-projector', 'SIGKILL');
    expect(stack.pids['projector']).toBeUndefined();
    await stack.restart('delta-projector');
    expect(stack.pids['projector']).toBeGreaterThan(0);
  });

  it('passes SIGSTOP and SIGCONT through, and drains what is stopped', async () => {
    const pid = stack.pids['projector'];
    await stack.kill('projector', 'SIGSTOP');
    await stack.kill('projector', 'SIGCONT');
    expect(stack.pids['projector']).toBe(pid);
    expect((await environmentOf(stack, 'projector'))['HOST']).toBe('127.0.0.1');
    await stack.kill('projector', 'SIGSTOP');
    await stack.restart('projector');
    expect(stack.pids['projector']).not.toBe(pid);
  });

  it('runs copies of a worker and takes them away again', async () => {
    await stack.scale('delta-projector', 3);
    const second = stack.pids['projector-2'] ?? 0;
    expect(isAlive(second)).toBe(true);
    expect(stack.urls['projector-3']).not.toBe(stack.urls['projector-2']);
    await stack.scale('delta-projector', 1);
    expect(Object.keys(stack.pids)).not.toContain('projector-2');
    expect(isAlive(second)).toBe(false);
    await expect(stack.scale('projector', 0)).rejects.toThrow(RangeError);
  });

  it('brings a copy back as another version, and as this one again', async () => {
    const other = await mkdtemp(join(tmpdir(), 'sync-stack-other-'));
    const main = join(other, 'tools/stack/fixture-app.mjs');
    await cp(join(import.meta.dirname, 'fixture-app.mjs'), main);
    await stack.scale('projector', 2);
    await stack.restart('projector-2', other);
    const mainOf = async (): Promise<string> =>
      (await fetch(new URL('/main', stack.urls['projector-2']))).text();
    expect(await mainOf()).toBe(main);
    await stack.restart('projector-2');
    expect(await mainOf()).toBe(join(import.meta.dirname, 'fixture-app.mjs'));
    await stack.scale('projector', 1);
    await rm(other, { recursive: true });
  });

  it('brings Postgres and NATS back when somebody kills them', async () => {
    for (const name of ['postgres', 'nats'] as const) {
      const pid = stack.pids[name] ?? 0;
      process.kill(pid, 'SIGKILL');
      await until(() => (stack.pids[name] ?? pid) !== pid);
    }
    await until(async () => !(await isFree(Number(new URL(stack.urls['nats'] ?? '').port))));
    await until(() => reports.includes('Postgres is back') && reports.includes('NATS is back'));
    const url = stack.databases['gateway']?.appUrl ?? '';
    const database = await Database.connect({ url, applicationName: 'stack-test' });
    expect(await database.call('one', 'SELECT 1 AS n', [])).toEqual([{ n: 1 }]);
    await database.close();
  });

  it('goes on trying to bring a server back', async () => {
    reports.length = 0;
    process.kill(stack.pids['nats'] ?? 0, 'SIGKILL');
    const intruder = createServer();
    const port = Number(new URL(stack.urls['nats'] ?? '').port);
    await until(() => isFree(port));
    await new Promise<void>((resolve) => intruder.listen(port, '127.0.0.1', resolve));
    await until(() => reports.some((line) => line.startsWith('NATS does not start')));
    await new Promise((resolve) => intruder.close(resolve));
    await until(() => reports.includes('NATS is back'));
    expect(stack.pids['nats']).toBeGreaterThan(0);
  });

  it('kills and restarts Postgres and NATS on request', async () => {
    await stack.kill('nats', 'SIGKILL');
    expect(stack.pids['nats']).toBeUndefined();
    await stack.restart('nats');
    expect(stack.pids['nats']).toBeGreaterThan(0);
  });

  it('does not know other names', async () => {
    await expect(stack.restart('nobody')).rejects.toThrow('No service "nobody"');
  });
});

describe('stop', () => {
  it('lets everything drain and leaves neither processes nor files', async () => {
    const stack = await start();
    const pids = Object.values(stack.pids);
    const { logDir } = stack;
    await stack.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(logDir)).toBe(false);
  });

  it('ends in the end what does not drain', async () => {
    const stack = await start({ env: { FIXTURE_PROJECTOR: 'stubborn' } });
    const pid = stack.pids['projector'] ?? 0;
    await stack.stop();
    expect(isAlive(pid)).toBe(false);
    expect(reports.join('\n')).toContain('projector did not drain');
  });

  it('keeps what was asked to be kept', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sync-stack-test-'));
    await chmod(parent, 0o755);
    const dataDir = join(parent, 'data');
    const masterKeys = new Set<string | undefined>();
    const passwords: (string | undefined)[] = [];
    for (let round = 0; round < 2; round += 1) {
      const stack = await start({ dataDir });
      masterKeys.add((await environmentOf(stack, 'gateway'))['MASTER_KEYS']);
      passwords.push(new URL(stack.databases['gateway']?.appUrl ?? '').password);
      await stack.stop();
    }
    expect(passwords[0]).toBe(passwords[1]);
    expect(readFileSync(join(dataDir, 'logs/gateway.log'), 'utf8').match(/"stopped"/g)).toHaveLength(2);
    expect(masterKeys.size).toBe(1);
    await rm(parent, { recursive: true });
  });
});

describe('a process that is slow', () => {
  it('is waited for when it comes back, whatever a start may take', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sync-stack-slow-'));
    const file = join(folder, 'ready');
    await writeFile(file, '');
    const env = { FIXTURE_PROJECTOR: 'slow', FIXTURE_READY_FILE: file };
    const stack = await start({ env, startLimitMs: 20_000 });
    await rm(file);
    reports.length = 0;
    process.kill(stack.pids['projector'] ?? 0, 'SIGKILL');
    await sleep(22_000);
    await writeFile(file, '');
    await until(() => reports.some((line) => line.startsWith('projector is back')));
    expect(reports.join('\n')).toMatch(/projector is not ready after \d+ s: it does not answer/);
    expect(reports.filter((line) => line.startsWith('projector ended'))).toHaveLength(1);
    await stack.stop();
    await rm(folder, { recursive: true });
  });

  it('is given up at a start after a limit, with the end of its log', async () => {
    const error: unknown = await start({ env: { FIXTURE_PROJECTOR: 'silent' }, startLimitMs: 10_000 }).catch(
      (reason: unknown) => reason,
    );
    expect(String(error)).toContain('projector was not ready after 10 s');
    const log = /\((.*)\/logs\/projector\.log\)/.exec(String(error));
    await rm(log?.[1] ?? '', { recursive: true });
  });
});

describe('a start that fails', () => {
  it('quotes the log of the process that died, and stops the rest', async () => {
    const error: unknown = await start({ env: { FIXTURE_PROJECTOR: 'die' } }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ProcessStartError);
    const message = String(error);
    expect(message).toMatch(/projector ended with exit code 3.*\n.*told to die/s);
    const log = /\((.*)\/logs\/projector\.log\)/.exec(message);
    expect(existsSync(join(log?.[1] ?? '', 'logs'))).toBe(true);
    await rm(log?.[1] ?? '', { recursive: true });
  });

  it('says in one line that the port is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const failing = start({ gatewayPort: port });
    await expect(failing).rejects.toThrow(StackError);
    await expect(failing).rejects.toThrow(`Port ${port} is taken`);
    server.close();
  });

  it('names the file that is not compiled', async () => {
    const services = [{ ...fixture('gateway', 'sync-gateway'), entry: 'apps/none/dist/main.js' }];
    await expect(start({ services })).rejects.toThrow('run "npm run build"');
  });
});
