import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from '@jest/globals';
import { provision } from '@sync/postgres';
import { exitOf, startPostgres } from '@sync/postgres/testing';
import { Client } from 'pg';
import { OBSERVER } from './observer.ts';
import { POSTGRES_ITSELF, cpuBetween, readCpu, sumOf } from './process-cpu.ts';

const USED_MS = 300;

const started: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of started.reverse()) await stop();
});

it('reads of a process what it knows itself that it has used', async () => {
  const script = `
    while (process.cpuUsage().user < ${USED_MS * 1_000}) for (let i = 0; i < 1_000_000; i += 1);
    process.stdout.write(JSON.stringify(process.cpuUsage()));
    process.stdin.resume().on('end', () => process.exit());`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(() => child.kill('SIGKILL'));
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const { user, system } = JSON.parse(text.toString()) as NodeJS.CpuUsage;
  const sources = { processes: { child: child.pid ?? 0 }, postmaster: 0, databases: {}, observer: OBSERVER };
  const { child: ms } = cpuBetween({ counters: new Map() }, await readCpu(sources));
  expect(ms).toBeGreaterThan((user + system) / 1_000 - 20);
  expect(ms).toBeLessThan((user + system) / 1_000 + USED_MS / 2);
  child.stdin.end();
  await exitOf(child);
});

it('knows which database Postgres works for, and counts what an ended backend used only once', async () => {
  const postgres = await startPostgres({ own: true, durable: false });
  started.push(() => postgres.stop());
  const urls = { busy: '', quiet: '' };
  for (const name of ['busy', 'quiet'] as const)
    urls[name] = (await provision({ adminUrl: postgres.adminUrl, name })).appUrl;
  const clients = { busy: await connect(urls.busy), quiet: await connect(urls.quiet) };
  started.push(() => clients.quiet.end());
  const sources = {
    ...{ processes: {}, postmaster: postgres.pid ?? 0, observer: OBSERVER },
    databases: { busy: 'gateway', quiet: 'projector' },
  };
  const before = await readCpu(sources);
  let used = cpuBetween(before, await readCpu(sources));
  while ((used['Postgres of gateway'] ?? 0) < USED_MS) {
    await clients.busy.query('SELECT count(*) FROM generate_series(1, 300000)');
    used = cpuBetween(before, await readCpu(sources));
  }
  expect(used['Postgres of projector']).toBeLessThan(USED_MS / 2);

  const beforeItEnds = await readCpu(sources);
  await clients.busy.end();
  let after = await readCpu(sources);
  while (cpuBetween(before, after)['Postgres of gateway'] !== undefined) {
    await sleep(10);
    after = await readCpu(sources);
  }
  expect(cpuBetween(before, after)[POSTGRES_ITSELF]).toBeGreaterThanOrEqual(USED_MS - 20);
  expect(sumOf(cpuBetween(beforeItEnds, after))).toBeLessThan(USED_MS / 2);
});

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}
