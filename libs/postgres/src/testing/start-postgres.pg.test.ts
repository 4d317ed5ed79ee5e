import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { Database } from '../database.ts';
import { exitOf, freePort, isFree, startPostgres } from './index.ts';

// Each test starts servers of its own, on machines that may be busy with other test files.
jest.setTimeout(120_000);

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}

describe('startPostgres', () => {
  it('keeps data between starts in a folder of the caller', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sync-kept-'));
    await chmod(parent, 0o755);
    const dataDir = join(parent, 'postgres');
    const first = await startPostgres({ own: true, dataDir });
    const before = await Database.connect({ url: first.adminUrl, applicationName: 'kept', poolSize: 1 });
    await before.call('create', 'CREATE TABLE kept AS SELECT 7 AS n', []);
    await before.close();
    await first.stop();
    const second = await startPostgres({ own: true, dataDir });
    const after = await Database.connect({ url: second.adminUrl, applicationName: 'kept', poolSize: 1 });
    expect(await after.call('select', 'SELECT n FROM kept', [])).toEqual([{ n: 7 }]);
    await after.close();
    await second.stop();
    await rm(parent, { recursive: true });
  });

  it('leaves neither process nor files when its starter is killed', async () => {
    const script = `
      const { startPostgres } = await import(${JSON.stringify(import.meta.resolve('./start-postgres.ts'))});
      const postgres = await startPostgres({ own: true, durable: false });
      console.log(JSON.stringify({ url: postgres.adminUrl, pid: postgres.pid }));
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) =>
      starter.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    const { url } = JSON.parse(line) as { url: string; pid: number };
    const database = await Database.connect({ url, applicationName: 'orphan', poolSize: 1 });
    const [setting] = await database.call<{ folder: string }>(
      'folder',
      `SELECT current_setting('data_directory') AS folder`,
      [],
    );
    await database.close();
    starter.kill('SIGKILL');
    await exitOf(starter);
    await until(() => isFree(Number(new URL(url).port)));
    await until(() => !existsSync(setting?.folder ?? ''));
    expect(existsSync(setting?.folder ?? '')).toBe(false);
  });

  it('says why it could not start', async () => {
    const first = await startPostgres({ own: true, durable: false });
    const port = Number(new URL(first.adminUrl).port);
    await expect(startPostgres({ own: true, port })).rejects.toThrow(/did not start on port .*exit code 1/s);
    await first.stop();
  });

  it('tells when the server ends unasked, and can bring it back', async () => {
    let ended = (_how: string): void => undefined;
    const unasked = new Promise<string>((resolve) => (ended = resolve));
    const postgres = await startPostgres({ own: true, onUnexpectedExit: (how) => ended(how) });
    process.kill(postgres.pid ?? 0, 'SIGKILL');
    expect(await unasked).toBe('SIGKILL');
    expect(postgres.pid).toBeUndefined();
    await postgres.restart();
    expect(postgres.pid).toBeGreaterThan(0);
    await postgres.stop();
  });

  it('waits for a server that recovers, however long it takes', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sync-recovering-'));
    await chmod(parent, 0o755);
    const dataDir = join(parent, 'postgres');
    const first = await startPostgres({ own: true, dataDir });
    await first.stop();
    // A standby without anybody to follow recovers until it is promoted, and takes no connection meanwhile.
    await appendFile(join(dataDir, 'postgresql.conf'), 'hot_standby = off\n');
    await writeFile(join(dataDir, 'standby.signal'), '');
    let ready = false;
    const starting = startPostgres({ own: true, dataDir, silenceLimitMs: 4_000 }).finally(
      () => (ready = true),
    );
    await sleep(8_000);
    expect(ready).toBe(false);
    const [pid = ''] = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    await writeFile(join(dataDir, 'promote'), '');
    process.kill(Number(pid), 'SIGUSR1');
    const second = await starting;
    expect(second.pid).toBe(Number(pid));
    await second.stop();
    await rm(parent, { recursive: true });
  });

  it('ends a server that still recovers, when its starter is killed', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sync-recovering-'));
    await chmod(parent, 0o755);
    const dataDir = join(parent, 'postgres');
    await (await startPostgres({ own: true, dataDir })).stop();
    await appendFile(join(dataDir, 'postgresql.conf'), 'hot_standby = off\n');
    await writeFile(join(dataDir, 'standby.signal'), '');
    const script = `
      const { startPostgres } = await import(${JSON.stringify(import.meta.resolve('./start-postgres.ts'))});
      await startPostgres({ own: true, dataDir: ${JSON.stringify(dataDir)} });`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const pidFile = join(dataDir, 'postmaster.pid');
    await until(() => existsSync(pidFile));
    await until(async () => (await readFile(pidFile, 'utf8')).includes('standby'));
    starter.kill('SIGKILL');
    await exitOf(starter);
    await until(() => !existsSync(pidFile));
    expect(existsSync(pidFile)).toBe(false);
    await rm(parent, { recursive: true });
  });

  it('does not let a test kill the server of all tests', async () => {
    const shared = await startPostgres();
    await expect(shared.kill('SIGKILL')).rejects.toThrow('own: true');
  });
});

describe('freePort', () => {
  it('lies below the ports of outgoing connections', async () => {
    const port = await freePort();
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_000);
  });

  it('gives no port again while nobody listens on it yet', async () => {
    const ports: number[] = [];
    for (let count = 0; count < 30; count += 1) ports.push(await freePort());
    expect(new Set(ports).size).toBe(30);
  });
});
