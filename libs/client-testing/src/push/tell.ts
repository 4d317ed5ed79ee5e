import type { Outcome } from '@sync/protocol';
import { shownTo } from '../conflicts/records.ts';
import type { Ended, LedgerEntry, Tenant } from '../server/tenant.ts';
import { noteEnded } from './own-entry.ts';
import type { Work } from './work.ts';

const STANDS: ReadonlySet<string> = new Set(['applied', 'merged']);

/** @param made as it was carried out; it counts as a change of its device, whatever became of it */
export function endEntry(tenant: Tenant, entry: LedgerEntry, ended: Ended, made?: Work): void {
  entry.ended = ended;
  if (made) noteEnded(tenant, made, STANDS.has(ended.status));
}

/** The outcome as it stands now, with the entity as its user may see it now (PUSH-7). */
export function tell(tenant: Tenant, userId: string, { mutationId, ended, address }: LedgerEntry): Outcome {
  if (!ended) return { mutationId, status: 'accepted' };
  if (ended.status === 'applied' || !address) return { mutationId, ...ended };
  const current = tenant.shown(userId, address.scope, address.entityType, address.entityId);
  return { mutationId, ...ended, current: shownTo(tenant, userId, current) };
}
