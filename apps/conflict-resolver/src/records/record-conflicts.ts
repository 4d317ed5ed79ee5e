import { readJson } from '@sync/domain';
import { type Batch, setTenants } from '@sync/messaging';
import type { Owner } from '@sync/owner-sdk';
import type { Tx } from '@sync/postgres';
import type { SyncEvent } from '@sync/protocol';
import { appendHistory } from '../history/history-store.ts';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import { announceConflicts } from './announce-conflicts.ts';
import { conflictOf, type DetectedConflict, firstEntries } from './conflict-record.ts';
import { insertConflicts } from './conflict-store.ts';

/**
 * Stores the ConflictRecords of sync events with the beginning of their histories and announces
 * them as entities of their users, in the consumer's transaction: record, history, event and watermark commit
 * together or not at all.
 * @returns the records that were new
 */
export async function recordConflicts(
  tx: Tx,
  batches: readonly Batch[],
  owner: Pick<Owner, 'announce'>,
  suggestions: SuggestionSource,
): Promise<DetectedConflict[]> {
  const conflicts = conflictsByTenant(batches);
  if (conflicts.size === 0) return [];
  await setTenants(tx, conflicts.keys());
  const added: DetectedConflict[] = [];
  // In the order of their ids, so that two batches that meet in several tenants queue and never deadlock.
  for (const tenantId of [...conflicts.keys()].sort()) {
    const records = conflicts.get(tenantId) ?? [];
    const ids = await insertConflicts(tx, tenantId, records);
    const fresh = records.filter(({ conflictId }) => ids.has(conflictId));
    await appendHistory(tx, tenantId, fresh.flatMap(firstEntries));
    await announceConflicts(tx, owner, suggestions, tenantId, [...ids]);
    added.push(...fresh);
  }
  return added;
}

/**
 * Whether there may be a ConflictRecord among these events. Most are not about conflicts, and the resolver's
 * own about resolutions have no draft; a text search is far cheaper than parsing them all.
 */
export function bringsRecord(payload: string): boolean {
  return payload.includes('"sync.conflict.') && payload.includes('"draft"');
}

function conflictsByTenant(batches: readonly Batch[]): Map<string, DetectedConflict[]> {
  const byTenant = new Map<string, DetectedConflict[]>();
  for (const message of batches.flatMap(({ messages }) => messages)) {
    if (!bringsRecord(message.payload)) continue;
    for (const event of readJson(message.payload) as SyncEvent[]) {
      const found = conflictOf(event);
      if (!found) continue;
      const records = byTenant.get(found.tenantId) ?? [];
      if (!records.some((record) => record.conflictId === found.record.conflictId))
        records.push(found.record);
      byTenant.set(found.tenantId, records);
    }
  }
  return byTenant;
}
