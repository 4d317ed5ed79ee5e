import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { type LearnerDevice, checkRevisions, queryAsOwner } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';
import { type Offline, until } from './crash-session.ts';
import type { Learner } from './learner.ts';

/** Final statuses that a mutation of these runs may have; a rejection would be a lost write. */
const STATUSES = new Set(['applied', 'merged', 'superseded']);
const TYPES = ['statement', 'note', 'progress'] as const;

/**
 * Nothing acknowledged is lost and nothing is applied twice, whatever was killed.
 *
 * 1. Every mutation has one terminal outcome, and sending it again gives the same one. The app was told of
 *    each that did not simply come to stand, and of no other.
 * 2. Both devices show what the server has: every change that stood, equal digests, every append once.
 * 3. The owner applied each mutation exactly once: its revisions count them.
 * 4. What lost to the server's change is in exactly one ConflictRecord, which the user has as data.
 *
 * @throws AssertionError
 */
export async function checkCustody(learner: Learner, offline: Offline): Promise<void> {
  const { device } = learner;
  const mutations = [...offline.statements, ...offline.note, offline.progress];
  const outcomes = await sendAgain(device, mutations);
  for (const [at, outcome] of outcomes.entries()) {
    ok(STATUSES.has(outcome.status), `mutation ${at} ended as ${JSON.stringify(outcome)}`);
  }
  deepStrictEqual(await sendAgain(device, mutations), outcomes, 'sending it again gave another answer');
  const told = (await device.client.outcomes()).map(({ outcome }) => outcome);
  deepStrictEqual(told, outcomes.filter(isTold).map(withoutCurrent), 'what the app was told');
  await checkDevices(learner, offline);
  await checkOwner(learner, offline, outcomes);
  await checkRecord(learner, offline);
}

/** Something may still be away. */
async function sendAgain(device: LearnerDevice, mutations: readonly LocalMutation[]) {
  let outcomes: readonly Outcome[] = [];
  await until('a push is answered', async () => {
    outcomes = await device.sendAgain(mutations);
    return true;
  });
  return outcomes;
}

function isTold({ status, conflictId }: Outcome): boolean {
  return status === 'superseded' || (status === 'merged' && conflictId !== undefined);
}

function withoutCurrent({ current: _shown, ...outcome }: Outcome): Outcome {
  return outcome;
}

async function checkDevices(learner: Learner, offline: Offline): Promise<void> {
  const shown = await checkShown(learner);
  deepStrictEqual(
    [...(shown.get('statement')?.keys() ?? [])],
    offline.statements.map(({ entityId }) => entityId).sort(),
    'appends arrived once each',
  );
  const { text, colour } = (shown.get('note')?.get(offline.note[0]?.entityId ?? '') ?? {}) as {
    text?: string;
    colour?: string;
  };
  deepStrictEqual([text, colour], ['three', 'red']);
  ok(shown.get('progress')?.has(offline.progress.entityId));
}

/** Both devices show the same, and the server has it, too. @returns it, by type and id */
export async function checkShown({ device, other }: Learner): Promise<Awaited<ReturnType<typeof show>>> {
  let shown: Awaited<ReturnType<typeof show>> = new Map();
  await until('both devices show the same, and the server has it, too', async () => {
    shown = await show(other);
    deepStrictEqual(await show(device), shown);
    return [device, other].every(({ client: { status } }) => {
      return status.state === 'live' && status.scopes.every(({ isDiffering }) => !isDiffering);
    });
  });
  return shown;
}

/** By type and id, in the order of ids. */
async function show({ client }: LearnerDevice): Promise<Map<string, Map<string, object>>> {
  const byType = TYPES.map(async (type) => {
    const set = await client.entity(type).load();
    const rows = set.list().map(({ id, data }) => [id, data] as const);
    return [type, new Map(rows.sort(([one], [next]) => (one < next ? -1 : 1)))] as const;
  });
  return new Map(await Promise.all(byType));
}

async function checkOwner(
  { urls, tenantId }: Learner,
  offline: Offline,
  outcomes: readonly Outcome[],
): Promise<void> {
  const took = ['applied', 'merged'].includes(outcomes.at(-1)?.status ?? '') ? 1 : 0;
  const expected = new Map<string, number>(offline.statements.map(({ entityId }) => [entityId, 1]));
  expected.set(offline.note[0]?.entityId ?? '', offline.note.length);
  // The first put, the server's change, and this one if it stood.
  expected.set(offline.progress.entityId, 2 + took);
  await checkRevisions(urls, tenantId, expected);
}

/** The last step of a run reaches the device: its ConflictRecord, as data. */
export async function untilRecorded({ device }: Learner, { progress }: Offline): Promise<void> {
  await until('the user has the ConflictRecord as data', async () => {
    const records = await device.client.conflicts();
    return records.some(({ mutationId }) => mutationId === progress.mutationId);
  });
}

async function checkRecord(learner: Learner, offline: Offline): Promise<void> {
  const { urls, tenantId } = learner;
  await untilRecorded(learner, offline);
  const rows = await queryAsOwner<{ conflict_id: string }>(
    urls,
    'conflict_resolver',
    tenantId,
    'SELECT conflict_id FROM conflict_record WHERE tenant_id = $1 AND mutation_id = $2',
    [tenantId, offline.progress.mutationId],
  );
  strictEqual(rows.length, 1, 'there is one ConflictRecord');
}
