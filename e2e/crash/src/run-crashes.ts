import { connectNats } from '@sync/messaging';
import type { StackLine } from '@sync/e2e-device';
import { seedOf, seededRandom } from '@sync/e2e-platform';
import type { NatsConnection } from '@nats-io/transport-node';
import { checkCustody, untilRecorded } from './check-custody.ts';
import { catchUp, prepareConflict, workOffline } from './crash-session.ts';
import { armFault, disarmFault } from './fault-client.ts';
import { type Learner, bindLearner } from './learner.ts';
import { CRASH_TARGETS, type CrashTarget } from './targets.ts';

export interface CrashOptions {
  readonly urls: StackLine;
  readonly runs: number;
  readonly seed: number;
  /** Only this run of the series, to look at it again. */
  readonly only?: number;
  readonly out: (line: string) => void;
}

export interface CrashRun {
  readonly run: number;
  readonly target: CrashTarget;
  /** Whether the place was reached, so that the process died. */
  readonly killed: boolean;
  readonly ms: number;
}

/** A run's violation of custody, with what is needed to see it again. */
export class CustodyError extends Error {
  override readonly name = 'CustodyError';
}

/**
 * Kills one process per run at a named place while a device of the SDK pushes, and checks custody afterwards.
 * Run n depends on the seed and n alone; every place has its turn in each series of as many runs as there
 * are places.
 *
 * @throws CustodyError at the first violation
 */
export async function runCrashes({ urls, runs, seed, only, out }: CrashOptions): Promise<CrashRun[]> {
  const nats = await connectNats({ url: urls.nats, name: 'crash' });
  const done: CrashRun[] = [];
  try {
    for (let run = only ?? 0; run < (only === undefined ? runs : only + 1); run += 1) {
      const result = await crashOnce(nats, urls, seed, run);
      const { target, killed, ms } = result;
      out(`run ${run}: ${target.service} at ${target.place}: ${killed ? 'killed' : 'not reached'}, ${ms} ms`);
      done.push(result);
    }
  } finally {
    await nats.close();
  }
  return done;
}

async function crashOnce(
  nats: NatsConnection,
  urls: StackLine,
  seed: number,
  run: number,
): Promise<CrashRun> {
  const random = seededRandom(seedOf(seed, run));
  const target = CRASH_TARGETS[(run + seed) % CRASH_TARGETS.length] as CrashTarget;
  const startedMs = performance.now();
  let learner: Learner | null = null;
  try {
    const userId = `u-${random.uuid().slice(0, 8)}`;
    learner = await bindLearner(urls, `crash-${seed}`, userId, () => random.uuid());
    const progressId = await prepareConflict(learner, random);
    const offline = await workOffline(learner, random, progressId);
    // Batches come by several times in a run; a push, its decision and its relayed events may come by once.
    const hits = target.place.startsWith('batch') ? random.between(1, 2) : 1;
    const before = await armFault(nats, target, hits);
    // Of every other run the app ends as well, at any point of the exchange.
    const restartAfterMs = run % 2 === 1 ? random.between(0, 400) : null;
    await catchUp(learner.device, restartAfterMs);
    // Disarmed earlier, the resolver would not have come to its relay yet.
    await untilRecorded(learner, offline);
    const after = await disarmFault(nats, target.service);
    await checkCustody(learner, offline);
    const ms = Math.round(performance.now() - startedMs);
    return { run, target, killed: after.pid !== before.pid, ms };
  } catch (error) {
    const where = `${target.service} at ${target.place}, run ${run} of seed ${seed}`;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CustodyError(`${where}: ${reason}`, { cause: error });
  } finally {
    await Promise.all([learner?.device.close(), learner?.other.close()]);
  }
}
