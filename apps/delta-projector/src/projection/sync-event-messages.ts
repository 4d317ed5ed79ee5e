import { eventMessages, type OrderedEvent, type OutboxRow, syncEvent } from '@sync/messaging';
import { STREAMS, type GrantChange, type SyncEvent } from '@sync/protocol';
import { scopeKey, type ScopeChange } from './scope-changes.ts';
import type { ScopePosition } from './delta-messages.ts';

/**
 * What a batch did, for health and analytics: one `sync.delta.projected.v1` per scope, one event per grant.
 *
 * @param now the projector's commit
 */
export function syncEventMessages(
  changes: readonly ScopeChange[],
  positions: ReadonlyMap<string, ScopePosition>,
  grants: readonly GrantChange[],
  now: Date,
): OutboxRow[] {
  const events: OrderedEvent[] = [];
  const timeIso = now.toISOString();
  for (const change of changes) {
    const orderKey = scopeKey(change.tenantId, change.scope);
    const position = positions.get(orderKey);
    if (position === undefined) continue;
    events.push({ orderKey, text: JSON.stringify(projectedEvent(change, position, timeIso)) });
  }
  for (const { tenantId, userId, scope, granted } of grants) {
    const type = granted ? 'sync.scope.granted.v1' : 'sync.scope.revoked.v1';
    const event = syncEvent(type, { scope }, { source: 'delta-projector', tenantId, userId, timeIso });
    events.push({ orderKey: scopeKey(tenantId, `user:${userId}`), text: JSON.stringify(event) });
  }
  return eventMessages(STREAMS.SYNC_EVENTS, events);
}

function projectedEvent(
  { tenantId, scope, deltas }: ScopeChange,
  { epoch, sequence }: ScopePosition,
  timeIso: string,
): SyncEvent<'sync.delta.projected.v1'> {
  const nowMs = Date.parse(timeIso);
  const data = {
    ...{ scope, epoch, deltas: deltas.length },
    fromSequence: String(sequence - BigInt(deltas.length) + 1n),
    toSequence: String(sequence),
    lagMs: deltas.reduce((lagMs, { committedAtMs }) => Math.max(lagMs, nowMs - (committedAtMs ?? nowMs)), 0),
  };
  return syncEvent('sync.delta.projected.v1', data, { source: 'delta-projector', tenantId, timeIso });
}
