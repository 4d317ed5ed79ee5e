import type { Tx } from '@sync/postgres';
import type { OwnerPushResult } from '@sync/protocol';
import type { DocumentSession } from '../document-port.ts';
import type { EventDraft } from '../domain-event-outbox.ts';
import type { ChangedEntity, PushDecision } from './decide-push.ts';

/**
 * Merges the documents of a decided batch and puts the results where the decision could only put increments: the last event of each
 * entity shows the whole document, those before it what their mutation added; results tell what merges met.
 *
 * @throws what the pool throws; nothing was written then
 */
export async function completeDocuments(
  tx: Tx,
  session: DocumentSession,
  decision: PushDecision,
): Promise<PushDecision> {
  if (decision.changed.size === 0) return decision;
  const { data, overlaps } = await session.complete(tx, decision.changed);
  const changed = new Map<string, ChangedEntity>();
  for (const [entityId, entity] of decision.changed) {
    const whole = data.get(entityId);
    changed.set(entityId, whole ? { ...entity, data: whole, json: JSON.stringify(whole) } : entity);
  }
  const events = decision.events.map((event): EventDraft => {
    const entity = changed.get(event.entityId);
    return entity?.revision === event.revision ? { ...event, json: entity.json } : event;
  });
  const withOverlaps = (result: OwnerPushResult): OwnerPushResult => {
    const found = overlaps.get(result.mutationId);
    return found && result.status === 'applied' ? { ...result, overlaps: found } : result;
  };
  return {
    ...decision,
    changed,
    events,
    results: decision.results.map(withOverlaps),
    final: decision.final.map(withOverlaps),
  };
}
