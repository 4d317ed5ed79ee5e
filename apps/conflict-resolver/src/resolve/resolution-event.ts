import type { Tx } from '@sync/postgres';
import type { ConflictDecider, ResolutionKind } from '@sync/protocol';
import type { ConflictRow } from '../records/conflict-store.ts';
import { appendSyncEvents } from '../telling/append-sync-events.ts';

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
  const data = {
    ...{ conflictId, mutationId, entityType, entityId, scope, decider, openMs },
    ...{ status: 'resolved' as const, resolution: kind },
    ...(historyHash === undefined ? {} : { historyHash }),
  };
  await appendSyncEvents(tx, tenantId, [
    { type: 'sync.conflict.resolved.v1', ...by, atIso: resolvedAt, data },
  ]);
}
