import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from '@jest/globals';
import { startNats } from '@sync/messaging/testing';
import { exitOf, startPostgres } from '@sync/postgres/testing';

/** What was started, also by a test that failed or ran out of time, which never comes to its own end. */
const started: (() => unknown)[] = [];
afterAll(async () => {
  for (const stop of started.reverse()) await stop();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('leaves no floor server when the benchmark is killed', async () => {
  const postgres = await startPostgres({ durable: false });
  started.push(() => postgres.stop());
  const nats = await startNats();
  started.push(() => nats.stop());
  // Not console.log: it colours numbers where FORCE_COLOR is set.
  const script = `
    const { startFloor } = await import(${JSON.stringify(import.meta.resolve('./start-floor.ts'))});
    const floor = await startFloor(${JSON.stringify(postgres.adminUrl)}, ${JSON.stringify(nats.url)}, {});
    process.stdout.write(String(floor.process.pid));`;
  const flags = ['--conditions=source', '--input-type=module', '-e', script];
  const benchmark = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = exitOf(benchmark);
  started.push(() => benchmark.kill('SIGKILL'));
  const [text] = (await Promise.race([once(benchmark.stdout, 'data'), ended.then((how) => [how])])) as [
    unknown,
  ];
  const pid = Number(String(text));
  expect(pid).toBeGreaterThan(0);
  started.push(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
  expect(isAlive(pid)).toBe(true);
  benchmark.kill('SIGKILL');
  await ended;
  while (isAlive(pid)) await sleep(25);
});
