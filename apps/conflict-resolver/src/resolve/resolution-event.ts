import { randomUUID } from 'node:crypto';
import { appendToOutbox, partitionOf } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { type ConflictDecider, type ResolutionKind, STREAMS, type SyncEvent } from '@sync/protocol';
import type { ConflictRow } from '../records/conflict-store.ts';

/** A resolution as the rest of the platform is told. */
export interface ToldResolution {
  readonly kind: ResolutionKind;
  readonly decider: ConflictDecider;
  readonly by: { readonly userId: string; readonly deviceId: string };
  readonly resolvedAt: string;
  readonly openMs: number;
  readonly historyHash: string | undefined;
}

/** Writes `sync.conflict.resolved.v1` into the outbox, in the transaction that resolves. */
export async function tellResolution(
  tx: Tx,
  tenantId: string,
  row: ConflictRow,
  { kind, decider, by, resolvedAt, openMs, historyHash }: ToldResolution,
): Promise<void> {
  const { conflictId, mutationId, entityType, entityId, scope } = row;
  const event: SyncEvent<'sync.conflict.resolved.v1'> = {
    specversion: '1.0',
    id: randomUUID(),
    source: 'conflict-resolver',
    type: 'sync.conflict.resolved.v1',
    time: resolvedAt,
    datacontenttype: 'application/json',
    tenantid: tenantId,
    userid: by.userId,
    deviceid: by.deviceId,
    data: {
      ...{ conflictId, mutationId, entityType, entityId, scope, decider, openMs },
      status: 'resolved',
      resolution: kind,
      ...(historyHash === undefined ? {} : { historyHash }),
    },
  };
  const partition = partitionOf(`${tenantId}\0${by.deviceId}`, STREAMS.SYNC_EVENTS.partitions);
  await appendToOutbox(tx, [
    { stream: STREAMS.SYNC_EVENTS.name, partition, payload: JSON.stringify([event]) },
  ]);
}
