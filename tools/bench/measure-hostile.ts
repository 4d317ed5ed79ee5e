/**
 * hostile-tenant: what a quiet tenant waits for its requests while another one does whatever it can. The floor
 * is the same tenant alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { exitOf } from '@sync/postgres/testing';
import type { PullResponse } from '@sync/protocol';
import { type Samples, summarize } from './percentiles.ts';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { assertApplied, pullPage, pullToHead, pushBody } from './workload.ts';
import { type BenchDevice, type World, bindBenchDevices } from './world.ts';

/** Before it counts: places and pushes have come to where they stay. */
const SETTLE_MS = 3_000;
/** A device does something now and then. */
const PAUSE_MS = 10;

export async function measureHostile(world: World): Promise<OperationResult> {
  const [device] = await bindBenchDevices(world, 1);
  if (!device) throw new Error('no device');
  const quiet = await useApp(device, world.sizes.hostileRounds);
  const attacker = await startAttacker(world);
  await new Promise((done) => setTimeout(done, SETTLE_MS));
  const attacked = await useApp(device, world.sizes.hostileRounds);
  const answers = await attacker.end();
  const quietP99Ms = summarize(quiet).p99Ms;
  const attacks = Object.values(answers).reduce((sum, each) => sum + each, 0);
  return result('hostile-tenant', 1, attacked, quiet, {
    quietP99Ms,
    p99Ratio: summarize(attacked).p99Ms / quietP99Ms,
    attacks,
    attacksLetIn: answers['200'] ?? 0,
    attacksLimited: answers['429'] ?? 0,
    attacksShed: answers['503'] ?? 0,
  });
}

/**
 * A round is a push of one, a pull of what is new, and an ack; each of the three is one operation.
 * @throws when one of them is not answered 200
 */
async function useApp(device: BenchDevice, rounds: number): Promise<Samples> {
  let { cursor } = await pullToHead(device);
  const steps = [
    async () => assertApplied((await device.send(device.prepare('/sync/v1/push', pushBody(device, 1)))).body),
    async () => {
      const answer: PullResponse = await pullPage(device, cursor, 500);
      cursor = answer.scopes[0]?.cursor ?? cursor;
    },
    async () => {
      await device.call('/sync/v1/ack', { cursors: [{ scope: device.scope, cursor }] });
    },
  ];
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  await runLoad({ clients: 1, total: rounds * steps.length }, async (_lane, run) => {
    const sentMs = performance.now();
    await steps[run % steps.length]?.();
    latenciesMs.push(performance.now() - sentMs);
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  });
  return { latenciesMs: latenciesMs.slice(-rounds * steps.length), tookMs: performance.now() - startedMs };
}

interface Attacker {
  /** @returns how often it was answered what */
  end(): Promise<Record<string, number>>;
}

async function startAttacker(world: World): Promise<Attacker> {
  const program = resolve(import.meta.dirname, 'hostile-tenant.ts');
  const child = spawn(process.execPath, [...process.execArgv, program], {
    env: { ...process.env, HOSTILE_URLS: JSON.stringify(world.urls) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const ended = exitOf(child).then((how): never => {
    throw new Error(`the hostile tenant ended with ${how}`);
  });
  ended.catch(() => undefined);
  await Promise.race([once(lines, 'line'), ended]);
  return {
    end: async () => {
      const told = once(lines, 'line');
      child.stdin.end();
      const [line] = (await Promise.race([told, ended])) as [string];
      return JSON.parse(line) as Record<string, number>;
    },
  };
}
