import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { startNats } from '@sync/messaging/testing';
import { exitOf, startPostgres } from '@sync/postgres/testing';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it('leaves no floor server when the benchmark is killed', async () => {
  const [postgres, nats] = await Promise.all([startPostgres({ durable: false }), startNats()]);
  // Not console.log: it colours numbers where FORCE_COLOR is set.
  const script = `
    const { startFloor } = await import(${JSON.stringify(import.meta.resolve('./start-floor.ts'))});
    const floor = await startFloor(${JSON.stringify(postgres.adminUrl)}, ${JSON.stringify(nats.url)}, {});
    process.stdout.write(String(floor.process.pid));`;
  const flags = ['--conditions=source', '--input-type=module', '-e', script];
  const benchmark = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(benchmark.stdout, 'data')) as [Buffer];
  const pid = Number(text.toString());
  expect(isAlive(pid)).toBe(true);
  benchmark.kill('SIGKILL');
  await exitOf(benchmark);
  while (isAlive(pid)) await sleep(25);
  expect(isAlive(pid)).toBe(false);
  await nats.stop();
  await postgres.stop();
});
