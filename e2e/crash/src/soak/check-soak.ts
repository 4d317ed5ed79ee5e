import { ok } from 'node:assert/strict';
import { queryAsOwner } from '@sync/e2e-device';
import type { Outcome } from '@sync/protocol';
import { checkShown } from '../check-custody.ts';
import { catchUp, until } from '../crash-session.ts';
import type { SoakUser } from './play-soak.ts';

/**
 * After any work and any kill, when everything has come to rest:
 *
 * 1. Every write that the app was told to be stored was sent, and has one terminal outcome.
 * 2. Nothing is left in an outbox, and both devices show the same, with the digests of the server.
 * 3. The owner has applied each write that stands exactly once: its revisions count them.
 *
 * @throws AssertionError
 */
export async function checkSoak(user: SoakUser): Promise<void> {
  const { learner, answered } = user;
  const devices = [learner.device, learner.other];
  for (const device of devices) await catchUp(device, null);
  const outcomes = new Map<string, Outcome>();
  for (const device of devices) {
    for (const mutationId of answered.get(device) ?? []) {
      ok(device.pushed.has(mutationId), `${mutationId} was stored and never sent`);
    }
    await until('every push is answered', async () => {
      for (const outcome of await device.sendAllAgain()) outcomes.set(outcome.mutationId, outcome);
      return true;
    });
  }
  for (const outcome of outcomes.values()) {
    ok(!['accepted', 'rejected'].includes(outcome.status), `ended as ${JSON.stringify(outcome)}`);
  }
  await checkShown(learner);
  await checkRevisionsOf(user, outcomes);
}

async function checkRevisionsOf(
  { learner, serverChanges }: SoakUser,
  outcomes: ReadonlyMap<string, Outcome>,
): Promise<void> {
  const expected = new Map(serverChanges);
  for (const device of [learner.device, learner.other]) {
    for (const { mutationId, entityId } of device.pushed.values()) {
      const status = outcomes.get(mutationId)?.status ?? 'accepted';
      const took = ['applied', 'merged'].includes(status) ? 1 : 0;
      expected.set(entityId, (expected.get(entityId) ?? 0) + took);
    }
  }
  const { urls, tenantId } = learner;
  const rows = await queryAsOwner<{ entity_id: string; revision: string }>(
    urls,
    'learning',
    tenantId,
    'SELECT entity_id, revision FROM sync_entity WHERE tenant_id = $1 AND entity_id = ANY ($2)',
    [tenantId, [...expected.keys()]],
  );
  const revisions = new Map(rows.map((row) => [row.entity_id, Number(row.revision)]));
  for (const [entityId, count] of expected) {
    // A change of the server that was not answered may have come about or not.
    if (Number.isNaN(count)) continue;
    const revision = revisions.get(entityId) ?? 0;
    ok(revision === count, `${entityId} has revision ${revision} after ${count} changes that stand`);
  }
}
