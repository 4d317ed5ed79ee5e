import type { ConflictDraft, JsonObject } from '@sync/domain';
import type { SyncEvent } from '@sync/protocol';
import { hashJson } from '../history/hashes.ts';
import type { HistoryDraft } from '../history/history-entry.ts';

/** A ConflictRecord as the gateway's event brings it. */
export interface DetectedConflict {
  readonly conflictId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly mutationId: string;
  readonly policy: ConflictDraft['policy'];
  readonly status: 'open' | 'auto_resolved';
  readonly detectedAt: string;
  readonly draft: ConflictDraft;
}

export interface TenantConflict {
  readonly tenantId: string;
  readonly record: DetectedConflict;
}

/**
 * Reads the ConflictRecord out of a sync event; null for every other event, such as the resolver's own about
 * a resolution.
 *
 * The record belongs to the user whose mutation it was, and to nobody else: it holds what that user wrote,
 * which the authors of the server's value may never have been allowed to see. Administrators see every record
 * of their tenant.
 */
export function conflictOf(event: SyncEvent): TenantConflict | null {
  if (event.type !== 'sync.conflict.detected.v1' && event.type !== 'sync.conflict.resolved.v1') return null;
  const seen = (event as SyncEvent<'sync.conflict.detected.v1'>).data;
  if (seen.draft === undefined || seen.status === 'resolved') return null;
  if (event.userid === undefined || event.deviceid === undefined) return null;
  const draft = seen.draft as ConflictDraft;
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
      draft,
    },
  };
}

/** What a record is about, as the history fixes it: everything but what a resolution adds. */
export type RecordContent = Omit<DetectedConflict, 'status' | 'detectedAt'>;

/** @returns SHA-256 of the content, the same from the event and from the stored row */
export function contentHash(record: RecordContent): string {
  const { conflictId, userId, deviceId, scope, entityType, entityId, mutationId, policy, draft } = record;
  const ids = { conflictId, userId, deviceId, scope, entityType, entityId, mutationId, policy };
  return hashJson({ ...ids, draft: draft as unknown as JsonObject });
}

/** The decision of every record that its policy decided: what won, field by field, is in the draft. */
export const POLICY_DECISION = { kind: 'policy' } as const;

/** The first entries of a record's history: it was detected, and perhaps decided by its policy at once. */
export function firstEntries(record: DetectedConflict): HistoryDraft[] {
  const { conflictId, detectedAt: at, userId, deviceId, policy, status, draft } = record;
  const detected: HistoryDraft = {
    conflictId,
    at,
    what: 'detected',
    who: { kind: 'person', userId, deviceId },
    facts: { content: contentHash(record) },
  };
  if (status === 'open') return [detected];
  const winners = [...new Set(draft.fields.map(({ winner }) => winner))].sort();
  const facts = { kind: 'policy', winners, decision: hashJson(POLICY_DECISION) };
  return [detected, { conflictId, at, what: 'resolved', who: { kind: 'policy', policy }, facts }];
}
