import type { RegisteredEntityType } from '@sync/protocol';
import type { Received } from './ledger/receive-pushes.ts';
import { acceptedText } from './outcome/outcome-text.ts';
import {
  type Postponed,
  postponed,
  refusedHere,
  type Settled,
  type Settlement,
  type Work,
} from './outcome/settlement.ts';
import { admitMutation } from './prepare/admit-mutation.ts';
import type { Prepared, Refusal } from './prepare/prepare-mutation.ts';
import { REUSED } from './prepare/push-batch.ts';

/** What has to be done about a received mutation. */
export type Sorted =
  /** It has its outcome. */
  | { readonly kind: 'answered'; readonly text: string }
  /** Somebody else handles it, but nothing durable says yet that it was accepted. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'refused'; readonly settled: Settlement }
  /** Refused because its id is another mutation's; nothing of that is stored. */
  | { readonly kind: 'reused'; readonly settled: Settled }
  | { readonly kind: 'work'; readonly work: Work };

/** @param registration of the mutation's entity type, null when there is none */
export function sortReceived(
  prepared: Prepared,
  row: Received,
  registration: RegisteredEntityType | null,
  receivedAtMs: number,
): Sorted {
  const nowIso = new Date(receivedAtMs).toISOString();
  if (row.verdict === 'answered')
    return { kind: 'answered', text: row.outcome ?? acceptedText(prepared.mutationId) };
  if (row.verdict === 'accepted') return { kind: 'answered', text: acceptedText(prepared.mutationId) };
  if (row.verdict === 'pending') return { kind: 'pending' };
  const { head, unread } = row;
  const refuse = (refusal: Refusal): Settled =>
    refusedHere(refusal, prepared.address, head, registration, nowIso);
  const { mutation } = prepared;
  const refusal = mutation ? admitMutation(mutation, registration, row.held) : prepared.refusal;
  if (row.verdict === 'reused') {
    // Who may not push it anyway learns no more than that: not even that the id is used.
    const told = refusal ?? REUSED;
    // It is stored nowhere, so no pull can show the entity later.
    const settled: Settled = unread ? { kind: 'settled', status: 'rejected', ...told } : refuse(told);
    return { kind: 'reused', settled };
  }
  if (refusal || !mutation || !registration) {
    const settled = unread
      ? postponed('too_much_at_once', false, prepared.refusal)
      : refuse(refusal ?? { code: 'entity_type_unknown', message: '/entityType' });
    return { kind: 'refused', settled };
  }
  const hold = holdOf(row);
  const payloadBytes = Buffer.byteLength(prepared.payload);
  const fresh = { receivedAtMs, mayForget: row.anew, mayBeSent: false, kept: null };
  return { kind: 'work', work: { mutation, registration, payloadBytes, head, ...fresh, hold, refuse: null } };
}

function holdOf(row: Received): Postponed | null {
  if (row.waiting) return postponed('lane_waits');
  if (row.unread) return postponed('too_much_at_once');
  const open = Object.values(row.dependencies ?? {}).some(
    (status) => status === 'pending' || status === 'accepted',
  );
  return open ? postponed('dependency_waits') : null;
}
