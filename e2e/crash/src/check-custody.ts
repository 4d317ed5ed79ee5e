import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { checkRevisions, queryAsOwner } from '@sync/e2e-device';
import type { Outcome } from '@sync/protocol';
import { type Offline, pushUntilAnswered, until } from './crash-session.ts';
import type { Learner } from './learner.ts';

/** Final statuses that a mutation of these runs may have; a rejection would be a lost write. */
const STATUSES = new Set(['applied', 'merged', 'superseded']);

/**
 * Nothing acknowledged is lost and nothing is applied twice, whatever was killed.
 *
 * 1. Every mutation has one terminal outcome, and sending it again gives the same one.
 * 2. Both devices hold what the server holds: every change that stood, equal digests, every append once.
 *    Their order is promised per entity and along `dependsOn`; after an owner was killed several times in a
 *    row its mutations go to it one by one.
 * 3. The owner applied each mutation exactly once: its revisions count them.
 * 4. What lost to the server's change is in exactly one ConflictRecord, which the user has as data.
 *
 * @throws AssertionError
 */
export async function checkCustody(learner: Learner, offline: Offline): Promise<void> {
  const { device, other, scope } = learner;
  const mutations = [...offline.statements, ...offline.note, offline.progress];
  const outcomes = mutations.map(({ mutationId }) => device.outcomes.get(mutationId));
  for (const [at, outcome] of outcomes.entries()) {
    ok(outcome && STATUSES.has(outcome.status), `mutation ${at} ended as ${JSON.stringify(outcome)}`);
  }
  const again = await pushUntilAnswered(device, mutations);
  deepStrictEqual(again, outcomes, 'sending it again gave another answer');
  await until('both devices hold what the server holds', async () => {
    await device.sync();
    await other.sync();
    const [mine, others] = [device, other].map((one) => one.replica(scope));
    const everything = mutations.every((mutation, at) => {
      return mine?.shows(mutation, outcomes[at]) && others?.shows(mutation, outcomes[at]);
    });
    const hashes = [
      mine?.serverDigest?.hash,
      mine?.digest.hash,
      others?.serverDigest?.hash,
      others?.digest.hash,
    ];
    return everything && hashes.every((hash) => hash !== undefined && hash === hashes[0]);
  });
  checkReplica(learner, offline);
  await checkOwner(learner, offline, outcomes as readonly Outcome[]);
  await checkRecord(learner, offline);
}

function checkReplica({ other, scope }: Learner, { statements, note, progress }: Offline): void {
  const replica = other.replica(scope);
  const arrived = replica.log.filter(({ entityType }) => entityType === 'statement');
  deepStrictEqual(
    arrived.map(({ entityId }) => entityId).sort(),
    statements.map(({ entityId }) => entityId).sort(),
    'appends arrived once each',
  );
  deepStrictEqual(replica.digestFromScratch(), replica.digest, 'the digest is the digest by its definition');
  const data = replica.entities.get(`note/${note[0]?.entityId ?? ''}`)?.data;
  deepStrictEqual([data?.['text'], data?.['colour']], ['three', 'red']);
  ok(replica.entities.has(`progress/${progress.entityId}`));
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

/**
 * The last step of a run reaches the device: its ConflictRecord, as data. @throws AssertionError when the
 * outcome names none
 */
export async function untilRecorded({ device, scope }: Learner, { progress }: Offline): Promise<void> {
  const conflictId = device.outcomes.get(progress.mutationId)?.conflictId;
  ok(conflictId, 'a value that competed with the server’s must be in a ConflictRecord');
  await until('the user has the ConflictRecord as data', async () => {
    await device.sync();
    return device.replica(scope).entities.has(`conflict/${conflictId}`);
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
