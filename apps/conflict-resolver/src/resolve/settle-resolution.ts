import type { Owner } from '@sync/owner-sdk';
import type { Tx } from '@sync/postgres';
import type { ConflictDecider, ConflictDecision, ConflictRecord, ResolutionKind } from '@sync/protocol';
import type { JsonObject } from '@sync/domain';
import { hashJson } from '../history/hashes.ts';
import { appendHistory, loadHistories } from '../history/history-store.ts';
import { announceConflicts } from '../records/announce-conflicts.ts';
import { type ConflictRow, storeResolution } from '../records/conflict-store.ts';
import type { VectorClock } from '@sync/vector-clock';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import { tellResolution } from './resolution-event.ts';

/** What the steps of a resolution need of the process. */
export interface ResolutionContext {
  readonly owner: Pick<Owner, 'announce' | 'kick'>;
  readonly suggestions: SuggestionSource;
  readonly now: () => Date;
  /** How long a request waits for the one before it; most end within milliseconds. */
  readonly waitMs: number;
}

/** A decision by a person, carried out. */
export interface Settlement {
  readonly kind: ResolutionKind;
  readonly suggestionId: string | null;
  readonly userId: string;
  readonly deviceId: string;
  /** The entity's clock that the person decided on. */
  readonly clock: VectorClock;
  readonly decision: ConflictDecision;
}

export interface Settled {
  readonly conflict: ConflictRecord;
  readonly openMs: number;
}

/**
 * Resolves an open record that the caller holds locked: record, history, suggestions, the synced copy and the
 * sync event, in one transaction.
 */
export async function settleResolution(
  tx: Tx,
  { owner, suggestions, now }: ResolutionContext,
  tenantId: string,
  row: ConflictRow,
  { kind, suggestionId, userId, deviceId, clock, decision }: Settlement,
): Promise<Settled> {
  const { conflictId } = row;
  const resolvedAt = now().toISOString();
  const by = { userId, deviceId };
  const decider: ConflictDecider =
    suggestionId === null ? { kind: 'person', ...by } : { kind: 'suggestion', suggestionId, acceptedBy: by };
  await storeResolution(tx, tenantId, conflictId, { decision, decider, resolvedAt });
  const facts: JsonObject = {
    kind,
    decision: hashJson(decision as JsonObject),
    ...(decision.mutationId === undefined ? {} : { mutationId: decision.mutationId }),
  };
  const [historyHash] = await appendHistory(tx, tenantId, [
    { conflictId, at: resolvedAt, what: 'resolved', who: decider, facts },
  ]);
  const acceptance = { decidedBy: by, nowIso: resolvedAt };
  if (suggestionId === null) await suggestions.dismiss(tx, tenantId, conflictId, acceptance);
  else await suggestions.take(tx, tenantId, conflictId, suggestionId, { ...acceptance, clock });
  const openMs = Math.max(0, Date.parse(resolvedAt) - Date.parse(row.detectedAt));
  await tellResolution(tx, tenantId, row, { kind, decider, by, resolvedAt, openMs, historyHash });
  const records = await announceConflicts(tx, owner, suggestions, tenantId, [conflictId]);
  const conflict = records.get(conflictId);
  if (!conflict) throw new Error(`ConflictRecord ${conflictId} is gone while it is locked`);
  return { conflict, openMs };
}

/** With as many entries in its history, a record's further refusals are counted by the metrics only. */
const MAX_NOTED_REFUSALS = 100;

/** Notes that the owner did not accept a resolution; the record stays open. */
export async function noteRefusal(
  tx: Tx,
  { owner, suggestions, now }: ResolutionContext,
  tenantId: string,
  row: ConflictRow,
  refused: {
    readonly kind: ResolutionKind;
    readonly userId: string;
    readonly deviceId: string;
    readonly code: string;
  },
): Promise<void> {
  const { conflictId } = row;
  const { kind, code, userId, deviceId } = refused;
  const entries = (await loadHistories(tx, tenantId, [conflictId], MAX_NOTED_REFUSALS)).get(conflictId) ?? [];
  if (entries.length >= MAX_NOTED_REFUSALS) return;
  const who: ConflictDecider = { kind: 'person', userId, deviceId };
  await appendHistory(tx, tenantId, [
    { conflictId, at: now().toISOString(), what: 'resolution_rejected', who, facts: { kind, code } },
  ]);
  await announceConflicts(tx, owner, suggestions, tenantId, [conflictId]);
}
