import { setTimeout as sleep } from 'node:timers/promises';
import { SyncError } from '@sync/client';
import { type LearnerDevice, type StackLine, changeOnServer } from '@sync/e2e-device';
import { type SeededRandom, seedOf, seededRandom } from '@sync/e2e-platform';
import { connectNats } from '@sync/messaging';
import type { NatsConnection } from '@nats-io/transport-node';
import { checkSoak } from './check-soak.ts';
import { armFault, disarmFault } from '../fault-client.ts';
import { type Learner, bindLearner } from '../learner.ts';
import { CRASH_TARGETS } from '../targets.ts';

export interface SoakOptions {
  readonly urls: StackLine;
  /** How long to work at least before everything is brought to rest and checked. */
  readonly durationMs: number;
  /** It goes on until so much of each has come about, for ten times as long at the most. */
  readonly atLeast?: Partial<SoakResult>;
  readonly seed: number;
  readonly users?: number;
}

/** What came about. A soak in which one of these is 0 proves less than it says. */
export interface SoakResult {
  writes: number;
  restarts: number;
  offline: number;
  serverChanges: number;
  kills: number;
}

/** A user, and what is known of what was done. */
export interface SoakUser {
  readonly learner: Learner;
  /** Mutations that the app was told to be stored, by device. */
  readonly answered: ReadonlyMap<LearnerDevice, Set<string>>;
  /** By entity, how often the server has changed it by itself. */
  readonly serverChanges: Map<string, number>;
  readonly noteIds: readonly string[];
  readonly progressIds: readonly string[];
}

/**
 * Random work of several users with two devices of the SDK each, on a platform of which one process after the
 * other is killed: writes, time without a network, ends of the app, changes by the server. What each user
 * does depends on the seed; when it meets which kill does not.
 * @throws CustodyError
 */
export async function playSoak(options: SoakOptions): Promise<SoakResult> {
  const { urls, seed, users = 3 } = options;
  const result = { writes: 0, restarts: 0, offline: 0, serverChanges: 0, kills: 0 };
  const goesOn = untilPlayed(options, result);
  const nats = await connectNats({ url: urls.nats, name: 'soak' });
  const played: SoakUser[] = [];
  try {
    for (let at = 0; at < users; at += 1) played.push(await makeUser(urls, seed, at));
    await Promise.all([
      killServices(nats, seededRandom(seedOf(seed, 1_000)), goesOn, result),
      ...played.flatMap((user, at) =>
        [user.learner.device, user.learner.other].map((device, which) =>
          work(user, device, seededRandom(seedOf(seed, 10 * at + which)), goesOn, result),
        ),
      ),
    ]);
    for (const user of played) await checkSoak(user);
    return result;
  } finally {
    await nats.close();
    await Promise.all(played.flatMap(({ learner }) => [learner.device.close(), learner.other.close()]));
  }
}

/** A slow machine plays less in the same time. @returns whether to go on */
function untilPlayed({ durationMs, atLeast = {} }: SoakOptions, result: SoakResult): () => boolean {
  const beganMs = performance.now();
  const wanted = Object.entries(atLeast) as [keyof SoakResult, number][];
  return () => {
    const playedMs = performance.now() - beganMs;
    if (playedMs < durationMs) return true;
    return playedMs < 10 * durationMs && wanted.some(([what, count]) => result[what] < count);
  };
}

async function makeUser(urls: StackLine, seed: number, at: number): Promise<SoakUser> {
  const random = seededRandom(seedOf(seed, 100 + at));
  const newId = (): string => random.uuid();
  const learner = await bindLearner(urls, `soak-${seed}`, `u-${newId().slice(0, 8)}`, newId);
  const [noteIds, progressIds] = [
    [newId(), newId(), newId()],
    [newId(), newId()],
  ];
  const answered = new Map([learner.device, learner.other].map((device) => [device, new Set<string>()]));
  return { learner, answered, serverChanges: new Map(), noteIds, progressIds };
}

async function killServices(
  nats: NatsConnection,
  random: SeededRandom,
  goesOn: () => boolean,
  result: SoakResult,
): Promise<void> {
  while (goesOn()) {
    const target = random.pick(CRASH_TARGETS);
    const before = await armFault(nats, target, random.between(1, 3));
    await sleep(random.between(500, 3_000));
    const after = await disarmFault(nats, target.service);
    if (after.pid !== before.pid) result.kills += 1;
  }
}

async function work(
  user: SoakUser,
  device: LearnerDevice,
  random: SeededRandom,
  goesOn: () => boolean,
  result: SoakResult,
): Promise<void> {
  while (goesOn()) {
    const dice = random.between(1, 40);
    if (dice === 1) {
      await device.restart();
      result.restarts += 1;
    } else if (dice <= 3) {
      device.client.forceOffline();
      result.offline += 1;
      const count = random.between(1, 15);
      for (let at = 0; at < count; at += 1) await write(user, device, random, result);
      await sleep(random.between(0, 1_000));
      device.client.forceOffline(false);
    } else if (dice <= 5) await changeProgress(user, random, result);
    else await write(user, device, random, result);
    await sleep(random.between(0, 300));
  }
}

async function write(
  { learner: { userId }, answered, noteIds, progressIds }: SoakUser,
  device: LearnerDevice,
  random: SeededRandom,
  result: SoakResult,
): Promise<void> {
  const { client } = device;
  const noteId = random.pick(noteIds);
  const [note, progress, statement] = [
    { userId, text: `text ${random.between(0, 999)}` },
    { userId, courseId: 'c-1', percent: random.between(0, 100), status: 'in_progress' },
    {
      id: random.uuid(),
      verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
      object: { objectType: 'Activity', id: 'https://courses.example/c-1/pages/1' },
    },
  ];
  const ways = [
    () => client.entity('statement').append(statement, { id: statement.id }),
    () => client.entity('note').put(noteId, note),
    () => client.entity('note').patch(noteId, { text: note.text }),
    () => client.entity('note').patch(noteId, { colour: `colour ${random.between(0, 9)}` }),
    () => client.entity('progress').put(random.pick(progressIds), progress),
  ];
  try {
    const { mutationId } = await random.pick(ways)();
    answered.get(device)?.add(mutationId);
    result.writes += 1;
  } catch (error) {
    // A patch of what is not there (yet).
    if (!(error instanceof SyncError) || error.code !== 'entity_unknown') throw error;
  }
}

/** While its service is away nothing is changed. */
async function changeProgress(
  { learner: { urls, tenantId, userId }, serverChanges, progressIds }: SoakUser,
  random: SeededRandom,
  result: SoakResult,
): Promise<void> {
  const entityId = random.pick(progressIds);
  const data = { userId, courseId: 'c-1', percent: random.between(0, 100), status: 'completed' };
  try {
    await changeOnServer(urls.learning, tenantId, 'progress', entityId, data);
    serverChanges.set(entityId, (serverChanges.get(entityId) ?? 0) + 1);
    result.serverChanges += 1;
  } catch {
    serverChanges.set(entityId, Number.NaN);
  }
}
