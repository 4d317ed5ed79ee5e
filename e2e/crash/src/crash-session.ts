import { setTimeout as sleep } from 'node:timers/promises';
import { type DriverDevice, changeOnServer, until as tryUntil } from '@sync/e2e-device';
import type { LocalMutation, Outcome, PushResponse } from '@sync/protocol';
import type { SeededRandom } from '@sync/e2e-platform';
import type { Learner } from './learner.ts';

/** What a learner's device did while it was offline, in order. */
export interface Offline {
  readonly statements: readonly LocalMutation[];
  readonly note: readonly LocalMutation[];
  /** Against a change of the server that the device has not seen. */
  readonly progress: LocalMutation;
}

const SETTLE_MS = 60_000;
const PAUSE_MS = 100;

/** Progress that both sides know, then a change of the server's that only the server knows. */
export async function prepareConflict(learner: Learner, random: SeededRandom): Promise<string> {
  const { device, scope, userId, urls, tenantId } = learner;
  const entityId = random.uuid();
  const data = { userId, courseId: 'c-1', percent: 10, status: 'in_progress' };
  device.write({ scope, entityType: 'progress', entityId, op: 'put', data });
  await pushUntilAnswered(device, device.outbox.splice(0));
  await settle(device);
  await untilSeen(device, scope, `progress/${entityId}`);
  await changeOnServer(urls.learning, tenantId, 'progress', entityId, { ...data, percent: 50 });
  return entityId;
}

export function workOffline(
  { device, scope, userId }: Learner,
  random: SeededRandom,
  progressId: string,
): Offline {
  const statements = Array.from({ length: random.between(3, 8) }, () => {
    const entityId = random.uuid();
    const data = {
      id: entityId,
      verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
      object: { objectType: 'Activity', id: 'https://courses.example/c-1/pages/1' },
    };
    return device.write({ scope, entityType: 'statement', entityId, op: 'append', data });
  });
  const noteId = random.uuid();
  const write = (op: 'put' | 'patch', data: Record<string, unknown>): LocalMutation =>
    device.write({ scope, entityType: 'note', entityId: noteId, op, data });
  const note = [
    write('put', { userId, text: 'one' }),
    write('patch', { text: 'two' }),
    write('patch', { text: 'three', colour: 'red' }),
  ];
  const progress = device.write({
    scope,
    entityType: 'progress',
    entityId: progressId,
    op: 'patch',
    data: { percent: random.between(11, 49) },
  });
  return { statements, note, progress };
}

/**
 * Sends the same mutations until they are answered, as a device does: a broken connection says nothing about
 * what happened.
 */
export async function pushUntilAnswered(
  device: DriverDevice,
  mutations: readonly LocalMutation[],
): Promise<readonly Outcome[]> {
  const deadlineMs = performance.now() + SETTLE_MS;
  let last: unknown;
  while (performance.now() < deadlineMs) {
    try {
      const body = { sentAt: new Date().toISOString(), mutations };
      const answer = await device.send<PushResponse>('/sync/v1/push', body);
      if (answer.status === 200) {
        device.noteOutcomes(answer.body.outcomes);
        return answer.body.outcomes;
      }
      last = answer.body;
    } catch (error) {
      last = error;
    }
    await sleep(PAUSE_MS);
  }
  throw new Error(`a push was not answered for ${SETTLE_MS} ms`, { cause: last });
}

/** Pulls until every outcome that the device was promised is terminal. */
export async function settle(device: DriverDevice): Promise<void> {
  await until('every accepted mutation has its outcome', async () => {
    await device.sync();
    return [...device.outcomes.values()].every(({ status }) => status !== 'accepted');
  });
}

async function untilSeen(device: DriverDevice, scope: string, key: string): Promise<void> {
  await until(`the device sees ${key}`, async () => {
    await device.sync();
    return device.replica(scope).entities.has(key);
  });
}

/** Tries again while something is away. @throws Error naming what did not come about */
export function until(what: string, attempt: () => Promise<boolean>): Promise<void> {
  return tryUntil(what, attempt, { limitMs: SETTLE_MS, pauseMs: PAUSE_MS, bearErrors: true });
}
