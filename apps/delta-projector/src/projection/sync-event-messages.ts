import { randomUUID } from 'node:crypto';
import { partitionOf, type OutboxRow } from '@sync/messaging';
import { STREAMS, type GrantChange, type SyncEvent } from '@sync/protocol';
import { scopeKey, type ScopeChange } from './scope-changes.ts';
import type { ScopePosition } from './delta-messages.ts';

const STREAM = STREAMS.SYNC_EVENTS;
const MAX_EVENTS_PER_MESSAGE = 500;

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
  const byPartition = new Map<number, string[]>();
  const add = (partitionKey: string, event: SyncEvent): void => {
    const partition = partitionOf(partitionKey, STREAM.partitions);
    const texts = byPartition.get(partition);
    if (texts === undefined) byPartition.set(partition, [JSON.stringify(event)]);
    else texts.push(JSON.stringify(event));
  };
  for (const change of changes) {
    const key = scopeKey(change.tenantId, change.scope);
    const position = positions.get(key);
    if (position !== undefined) add(key, projectedEvent(change, position, now));
  }
  for (const grant of grants) add(scopeKey(grant.tenantId, `user:${grant.userId}`), grantEvent(grant, now));
  return [...byPartition].flatMap(([partition, texts]) => rowsOf(partition, texts));
}

function rowsOf(partition: number, texts: readonly string[]): OutboxRow[] {
  const rows: OutboxRow[] = [];
  for (let at = 0; at < texts.length; at += MAX_EVENTS_PER_MESSAGE) {
    const payload = `[${texts.slice(at, at + MAX_EVENTS_PER_MESSAGE).join(',')}]`;
    rows.push({ stream: STREAM.name, partition, payload });
  }
  return rows;
}

function projectedEvent(
  { tenantId, scope, deltas }: ScopeChange,
  { epoch, sequence }: ScopePosition,
  now: Date,
): SyncEvent<'sync.delta.projected.v1'> {
  const nowMs = now.getTime();
  return {
    ...envelope(tenantId, now),
    type: 'sync.delta.projected.v1',
    data: {
      scope,
      epoch,
      fromSequence: String(sequence - BigInt(deltas.length) + 1n),
      toSequence: String(sequence),
      deltas: deltas.length,
      lagMs: deltas.reduce(
        (lagMs, { committedAtMs }) => Math.max(lagMs, nowMs - (committedAtMs ?? nowMs)),
        0,
      ),
    },
  };
}

function grantEvent(
  { tenantId, userId, scope, granted }: GrantChange,
  now: Date,
): SyncEvent<'sync.scope.granted.v1' | 'sync.scope.revoked.v1'> {
  const type = granted ? 'sync.scope.granted.v1' : 'sync.scope.revoked.v1';
  return { ...envelope(tenantId, now), type, userid: userId, data: { scope } };
}

function envelope(tenantId: string, now: Date): Omit<SyncEvent, 'type' | 'data'> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/delta-projector',
    time: now.toISOString(),
    datacontenttype: 'application/json',
    tenantid: tenantId,
  };
}
