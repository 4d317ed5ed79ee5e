import { type LearnerDevice, changeOnServer, until as tryUntil } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import type { SeededRandom } from '@sync/e2e-platform';
import type { Learner } from './learner.ts';

/** What a learner's device did while it was offline, in order. */
export interface Offline {
  readonly statements: readonly LocalMutation[];
  readonly note: readonly LocalMutation[];
  /** Against a change of the server that the device has not seen. */
  readonly progress: LocalMutation;
}

const SETTLE_MS = 120_000;
const PAUSE_MS = 100;

/** Progress that both sides know, then a change of the server's that only the server knows. */
export async function prepareConflict(learner: Learner, random: SeededRandom): Promise<string> {
  const { device, userId, urls, tenantId } = learner;
  const entityId = random.uuid();
  const data = { userId, courseId: 'c-1', percent: 10, status: 'in_progress' };
  const write = await device.client.entity('progress').put(entityId, data);
  await write.wait('seen', { signal: AbortSignal.timeout(SETTLE_MS) });
  device.client.forceOffline();
  await changeOnServer(urls.learning, tenantId, 'progress', entityId, { ...data, percent: 50 });
  return entityId;
}

/** @returns what waits in the outbox then */
export async function workOffline(
  { device, userId }: Learner,
  random: SeededRandom,
  progressId: string,
): Promise<Offline> {
  const { client } = device;
  const statements = client.entity('statement');
  const count = random.between(3, 8);
  for (let at = 0; at < count; at += 1) {
    const id = random.uuid();
    const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced' };
    const object = { objectType: 'Activity', id: 'https://courses.example/c-1/pages/1' };
    await statements.append({ id, verb, object }, { id });
  }
  const notes = client.entity('note');
  const noteId = random.uuid();
  await notes.put(noteId, { userId, text: 'one' });
  await notes.patch(noteId, { text: 'two' });
  await notes.patch(noteId, { text: 'three', colour: 'red' });
  await client.entity('progress').patch(progressId, { percent: random.between(11, 49) });
  // Before them there may be one that was seen, and is not acked yet.
  const waiting = (await device.outbox()).slice(-(count + 4));
  const progress = waiting.at(-1);
  if (progress?.entityId !== progressId || waiting.length < count + 4)
    throw new Error('Something is not in the outbox');
  return { statements: waiting.slice(0, count), note: waiting.slice(count, -1), progress };
}

/**
 * The device is online again, until nothing is left in its outbox: every mutation has an outcome that is
 * stored and acked, and stands in what was pulled where it came to stand.
 * @param restartAfterMs when its app ends meanwhile, and is opened again; null where it does not
 */
export async function catchUp(device: LearnerDevice, restartAfterMs: number | null): Promise<void> {
  device.client.forceOffline(false);
  if (restartAfterMs !== null) {
    await new Promise((resolve) => setTimeout(resolve, restartAfterMs));
    await device.restart();
  }
  await until('the outbox is empty', async () => (await device.outbox()).length === 0);
}

/** Tries again while something is away. @throws Error naming what did not come about */
export function until(what: string, attempt: () => Promise<boolean>): Promise<void> {
  return tryUntil(what, attempt, { limitMs: SETTLE_MS, pauseMs: PAUSE_MS, bearErrors: true });
}
