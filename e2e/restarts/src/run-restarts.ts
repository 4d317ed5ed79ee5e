import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LearnerDevice, type StackProcess, startStackProcess, until } from '@sync/e2e-device';
import { Balancer } from './balancer.ts';
import { checkNothingLost } from './check-nothing-lost.ts';
import { enroll, enrollQuiet, type Learner } from './learner.ts';
import { Traffic } from './traffic.ts';
import { countOf, keepWriting, type Written } from './work.ts';

export interface RestartOptions {
  /** How often every process is restarted. */
  readonly rounds: number;
  /**
   * A compiled checkout of another version: each process becomes that one, and in the next round this one
   * again.
   */
  readonly otherRoot: string | undefined;
  readonly out: (line: string) => void;
}

export interface RestartResult {
  readonly requests: number;
  /** One line each. */
  readonly failures: readonly string[];
  /** How often the replica of a socket stopped, and the device had another one then. */
  readonly reopenedSockets: number;
  readonly mutations: number;
  /** ConflictRecords of what lost. */
  readonly records: number;
  readonly waves: readonly WaveLoad[];
}

/** What was under way while processes were replaced. */
interface WaveLoad {
  /** As it began. */
  readonly openSockets: number;
  /** Written during it; each waits until the server has the one before. */
  readonly mutations: number;
}

interface Busy {
  readonly learner: Learner;
  readonly written: Written;
}

/** What takes requests of others has two replicas, so that one works while the other one starts. */
const COPIES = 'gateway=2,projector=2,resolver=2,health=2';
/**
 * What is restarted together. Gateways and projectors come before owners: see docs/guides/run-it.md. Owners
 * have one replica: while it is away, pushes are `accepted`.
 */
const WAVES = [
  ['gateway', 'projector', 'resolver', 'health'],
  ['gateway-2', 'projector-2', 'resolver-2', 'health-2'],
  ['learning', 'authoring'],
];
/** Of these users nothing changes: long polls wait, and sockets are silent. */
const QUIET = 8;
const BUSY = 2;
const LAST_MS = 2_000;
const NOTICE = { limitMs: 60_000, pauseMs: 100 };

/**
 * Restarts every process of the platform in turns, as an update does, while devices of the SDK push, wait in
 * long polls and keep sockets open behind a balancer that follows readiness.
 *
 * @throws AssertionError when something was lost or doubled; failed requests are counted
 */
export async function runRestarts(options: RestartOptions): Promise<RestartResult> {
  const stack = await startStackProcess(['--copies', COPIES]);
  try {
    const { gateway, 'gateway-2': second = '', opsUrls } = stack.line;
    const gateways = [
      { url: gateway, opsUrl: opsUrls['gateway'] ?? '' },
      { url: second, opsUrl: opsUrls['gateway-2'] ?? '' },
    ];
    const balancer = await Balancer.start(gateways);
    try {
      return await restartUnderLoad(options, stack, balancer);
    } finally {
      balancer.stop();
    }
  } finally {
    await stack.stop();
  }
}

async function restartUnderLoad(
  { rounds, otherRoot, out }: RestartOptions,
  stack: StackProcess,
  balancer: Balancer,
): Promise<RestartResult> {
  const traffic = new Traffic();
  const surroundings = {
    ...{ gatewayUrl: balancer.url, stack: stack.line, traffic },
    tenantId: `t-${randomUUID().slice(0, 8)}`,
  };
  const devices: LearnerDevice[] = [];
  const busy: Busy[] = [];
  try {
    for (let at = 0; at < QUIET; at += 1) devices.push(...(await enrollQuiet(surroundings)));
    for (let at = 0; at < BUSY; at += 1) {
      const learner = await enroll(surroundings);
      devices.push(learner.writer, learner.rival, learner.reader);
      busy.push({ learner, written: keepWriting(traffic, learner) });
    }
    const waves: WaveLoad[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      for (const wave of WAVES) {
        const { openSockets } = traffic;
        const before = mutationsOf(busy);
        await Promise.all(wave.map((name) => stack.restart(name, round % 2 === 1 ? otherRoot : undefined)));
        waves.push({ openSockets, mutations: mutationsOf(busy) - before });
        await until('the balancer uses all replicas', async () => balancer.complete, NOTICE);
      }
      out(`round ${round}: ${traffic.requests} requests, ${traffic.failures.length} failed`);
    }
    // What the last restart broke shows after it.
    await sleep(LAST_MS);
    await traffic.stop();
    let records = 0;
    for (const { learner, written } of busy) {
      records += await checkNothingLost(learner, written, stack.line, surroundings.tenantId);
    }
    const { requests, failures, reopenedSockets } = traffic;
    return { requests, failures, reopenedSockets, mutations: mutationsOf(busy), records, waves };
  } finally {
    await Promise.all(devices.map((device) => device.close()));
  }
}

function mutationsOf(busy: readonly Busy[]): number {
  return busy.reduce((sum, { written }) => sum + countOf(written), 0);
}
