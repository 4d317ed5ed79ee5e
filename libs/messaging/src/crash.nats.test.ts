import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { ConsumerProcess } from './testing/consumer-process.ts';
import { HopRig } from './testing/hop-rig.ts';

const SCRIPT = fileURLToPath(new URL('./testing/consumer-process.ts', import.meta.url));

let rig: HopRig;
let output: Map<string, string>;
beforeEach(async () => {
  output = new Map();
  rig = await HopRig.open({ partitions: 4 });
  await rig.startRelay();
});
afterEach(() => rig.close());

/** Starts a consumer in a process of its own; it is killed at the end of the test at the latest. */
function startProcess(worker: string, handleMs = 5): ChildProcess {
  const given: ConsumerProcess = {
    databaseUrl: rig.consumerDb.appUrl,
    natsUrl: rig.nats.url,
    stream: rig.stream,
    worker,
    handleMs,
  };
  const child = spawn(process.execPath, [
    '--conditions=source',
    '--no-warnings',
    SCRIPT,
    JSON.stringify(given),
  ]);
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.on('data', (text: Buffer) => output.set(worker, `${output.get(worker) ?? ''}${text.toString()}`));
  }
  rig.onClose(() => end(child));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function workersSince(id: number): Promise<string[]> {
  const rows = await rig.consumerDb.database.call<{ worker: string }>(
    'workers',
    'SELECT DISTINCT worker FROM effect WHERE id > $1 ORDER BY worker',
    [id],
  );
  return rows.map(({ worker }) => worker);
}

it('a worker killed in the middle of its batches loses its partitions to another, without loss or doubling', async () => {
  const doomed = startProcess('doomed');
  await rig.write(100, 5);
  await rig.untilEffects(10);
  startProcess('heir');
  await rig.until('both work', async () => {
    await rig.write(20, 5);
    return (await workersSince(0)).length === 2;
  });
  await end(doomed);
  const before = (await rig.effects()).length;
  await rig.write(200, 5);
  await rig.until('everything arrived', async () => {
    const expected = Object.values(rig.expectedPayloads()).flat().length;
    return (await rig.effects()).length >= expected;
  });
  expect(before).toBeGreaterThan(0);
  expect(await rig.payloads()).toEqual(rig.expectedPayloads());
});

it('a frozen worker is replaced, and writes nothing when it wakes up', async () => {
  const frozen = startProcess('frozen', 50);
  await rig.write(40, 5);
  await rig.untilEffects(5);
  frozen.kill('SIGSTOP');
  const before = (await rig.effects()).length;
  startProcess('heir');
  await rig.write(40, 5);
  await rig.untilEffects(80);
  await rig.until('all partitions moved', async () => {
    const rows = await rig.consumerDb.database.call<{ holders: number }>(
      'holders',
      `SELECT count(DISTINCT holder)::int4 AS holders FROM sync_lease
       WHERE starts_with(name, 'consume:') AND expires_at > clock_timestamp()`,
      [],
    );
    return rows[0]?.holders === 1;
  });
  frozen.kill('SIGCONT');
  await rig.until('it noticed', () =>
    /lost a lease|another worker was faster/.test(output.get('frozen') ?? ''),
  );
  await rig.write(40, 5);
  await rig.untilEffects(120);
  expect(before).toBeLessThan(80);
  expect(await rig.payloads()).toEqual(rig.expectedPayloads());
});
