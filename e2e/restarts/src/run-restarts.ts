import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type StackProcess, startStackProcess, until } from '@sync/e2e-device';
import { Balancer } from './balancer.ts';
import { checkNothingLost } from './check-nothing-lost.ts';
import { enroll, type Learner } from './learner.ts';
import { LiveClient } from './live-client.ts';
import { Traffic } from './traffic.ts';
import { keepReading, keepWriting } from './work.ts';

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
  /** How often a socket was told to connect again. */
  readonly reopenedSockets: number;
  readonly mutations: number;
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
/** Of these users nothing changes: their long polls wait, and their sockets are silent. */
const QUIET = 8;
const BUSY = 2;
const LAST_MS = 2_000;
const NOTICE = { limitMs: 60_000, pauseMs: 100 };

/**
 * Restarts every process of the platform in turns, as an update does, while devices push, wait in long polls
 * and keep sockets open behind a balancer that follows readiness.
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
  const gatewayUrl = balancer.url;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const traffic = new Traffic();
  const learners: Learner[] = [];
  for (let at = 0; at < QUIET + BUSY; at += 1) {
    learners.push(await enroll({ gatewayUrl, stack: stack.line, tenantId }));
  }
  const busy = learners
    .slice(0, BUSY)
    .map((learner) => ({ learner, written: keepWriting(traffic, learner) }));
  const sockets = learners.map(({ reader }) => new LiveClient(gatewayUrl, reader, traffic));
  for (const { reader } of learners) keepReading(traffic, reader);
  for (const socket of sockets) socket.start();
  for (let round = 1; round <= rounds; round += 1) {
    for (const wave of WAVES) {
      await Promise.all(wave.map((name) => stack.restart(name, round % 2 === 1 ? otherRoot : undefined)));
      await until('the balancer uses all replicas', async () => balancer.complete, NOTICE);
    }
    out(`round ${round}: ${traffic.requests} requests, ${traffic.failures.length} failed`);
  }
  // What the last restart broke shows after it.
  await sleep(LAST_MS);
  const stopped = traffic.stop();
  for (const socket of sockets) socket.close();
  await stopped;
  for (const { learner, written } of busy) await checkNothingLost(learner, written, stack.line, tenantId);
  return {
    requests: traffic.requests,
    failures: traffic.failures,
    reopenedSockets: sockets.reduce((sum, { reopened }) => sum + reopened, 0),
    mutations: busy.reduce((sum, { written }) => sum + Object.values(written).flat().length, 0),
  };
}
