import type { ConflictDraft } from '@sync/domain';
import type { ConflictSeen, SyncEvent } from '@sync/protocol';

/** A ConflictRecord as it is stored and as devices pull it (entityType `conflict`, scope `user:<userId>`). */
export interface ConflictRecord {
  readonly conflictId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly mutationId: string;
  readonly policy: string;
  readonly status: 'open' | 'auto_resolved';
  readonly detectedAt: string;
  readonly resolvedAt: string | null;
  readonly resolution: string | null;
  readonly draft: ConflictDraft;
}

export interface TenantConflict {
  readonly tenantId: string;
  readonly record: ConflictRecord;
}

/** Reads the ConflictRecord out of a sync event; null for every other event. */
export function conflictOf(event: SyncEvent): TenantConflict | null {
  if (event.type !== 'sync.conflict.detected.v1' && event.type !== 'sync.conflict.resolved.v1') return null;
  const seen = event.data as ConflictSeen;
  const draft = seen.draft as ConflictDraft;
  if (event.userid === undefined || event.deviceid === undefined) return null;
  const resolved = seen.status === 'auto_resolved';
  return {
    tenantId: event.tenantid,
    record: {
      conflictId: seen.conflictId,
      userId: event.userid,
      deviceId: event.deviceid,
      scope: seen.scope,
      entityType: seen.entityType,
      entityId: seen.entityId,
      mutationId: seen.mutationId,
      policy: draft.policy,
      status: seen.status,
      detectedAt: event.time,
      resolvedAt: resolved ? event.time : null,
      resolution: resolved ? 'policy' : null,
      draft,
    },
  };
}
