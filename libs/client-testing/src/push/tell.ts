import type { Outcome } from '@sync/protocol';
import { shownTo } from '../conflicts/records.ts';
import type { Ended, LedgerEntry, Tenant } from '../server/tenant.ts';
import { noteEnded } from './own-entry.ts';
import type { Work } from './work.ts';

const STANDS: ReadonlySet<string> = new Set(['applied', 'merged']);

/** @param made as it was carried out; it counts as a change of its device, whatever became of it */
export function endEntry(tenant: Tenant, entry: LedgerEntry, ended: Ended, made?: Work): void {
  entry.ended = ended;
  entry.endedAt = tenant.nowIso;
  if (made) noteEnded(tenant, made, STANDS.has(ended.status));
}

/** Up to so many characters an entity is small, and stands in each of its outcomes. */
const SMALL_LENGTH = 4_096;
/** Of the entities that one answer shows, and of the large ones that it shows again (PUSH-20). */
const SHOWN_LENGTH = 8 * 1_024 * 1_024;
const COPIES_LENGTH = 256 * 1_024;

/**
 * The outcomes of one answer as they stand now, each with the entity as its user may see it now (PUSH-7).
 * @returns null for one whose entity has no room: it comes with a later pull
 */
export function tellAll(tenant: Tenant, userId: string, entries: readonly LedgerEntry[]): (Outcome | null)[] {
  const carriers = new Map<string, string>();
  let left = SHOWN_LENGTH;
  let copiesLeft = COPIES_LENGTH;
  return entries.map((entry) => {
    const outcome = tell(tenant, userId, entry);
    const { current, ...rest } = outcome;
    if (!current) return outcome;
    const text = JSON.stringify(current);
    const carrier = carriers.get(text);
    if (carrier === undefined) {
      if (text.length > left && left < SHOWN_LENGTH) return isKept(tenant, entry) ? null : rest;
      left -= text.length;
      if (text.length > SMALL_LENGTH) carriers.set(text, outcome.mutationId);
      return outcome;
    }
    if (text.length > copiesLeft) return { ...rest, currentOf: carrier };
    copiesLeft -= text.length;
    return outcome;
  });
}

const isKept = ({ ledger }: Tenant, entry: LedgerEntry): boolean => ledger.get(entry.mutationId) === entry;

/** One outcome by itself. */
export function tell(
  tenant: Tenant,
  userId: string,
  { mutationId, ended, endedAt, address }: LedgerEntry,
): Outcome {
  const scope = address && tenant.holds(userId, address.scope) ? { scope: address.scope } : {};
  if (!ended) return { mutationId, status: 'accepted', ...scope };
  if (ended.status === 'applied' || !address) return { mutationId, ...ended, ...scope };
  const current = tenant.shown(userId, address, endedAt);
  return { mutationId, ...ended, current: shownTo(tenant, userId, current), ...scope };
}
