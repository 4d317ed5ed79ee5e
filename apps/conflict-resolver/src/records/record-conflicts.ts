import { type Batch, setTenants } from '@sync/messaging';
import type { Owner } from '@sync/owner-sdk';
import type { Tx } from '@sync/postgres';
import type { SyncEvent } from '@sync/protocol';
import { type ConflictRecord, conflictOf } from './conflict-record.ts';
import { insertConflicts } from './conflict-store.ts';

/**
 * Stores the ConflictRecords of a batch of sync events and announces them as entities of their users, in the consumer's transaction: record,
 * event and watermark commit together or not at all.
 * @returns how many records were new
 */
export async function recordConflicts(tx: Tx, batch: Batch, owner: Pick<Owner, 'announce'>): Promise<number> {
  const conflicts = conflictsByTenant(batch);
  if (conflicts.size === 0) return 0;
  await setTenants(tx, conflicts.keys());
  let added = 0;
  for (const [tenantId, records] of conflicts) {
    const fresh = await insertConflicts(tx, tenantId, records);
    const changes = records
      .filter((record) => fresh.has(record.conflictId))
      .map((record) => ({ entityType: 'conflict', entityId: record.conflictId, data: { ...record } }));
    if (changes.length > 0) await owner.announce(tx, tenantId, changes);
    added += changes.length;
  }
  return added;
}

function conflictsByTenant(batch: Batch): Map<string, ConflictRecord[]> {
  const byTenant = new Map<string, ConflictRecord[]>();
  for (const message of batch.messages) {
    // Most sync events are not about conflicts; a text search is far cheaper than parsing them all.
    if (!message.payload.includes('"sync.conflict.')) continue;
    for (const event of JSON.parse(message.payload) as SyncEvent[]) {
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
