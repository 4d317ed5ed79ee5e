import type { RegisteredEntityType } from '@sync/protocol';
import type { Received } from './ledger/ledger-store.ts';
import { headOf } from './outcome/entity-head.ts';
import { acceptedText } from './outcome/outcome-text.ts';
import { type Postponed, postponed, refusedHere, type Settled, type Work } from './outcome/settlement.ts';
import { admitMutation } from './prepare/admit-mutation.ts';
import type { Prepared, Refusal } from './prepare/prepare-mutation.ts';
import { REUSED } from './prepare/push-batch.ts';

/** What has to be done about a received mutation. */
export type Sorted =
  /** It has its outcome. */
  | { readonly kind: 'answered'; readonly text: string }
  /** Somebody else handles it, but nothing durable says yet that it was accepted. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'refused'; readonly settled: Settled }
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
  const head = headOf(row);
  const refuse = (refusal: Refusal): Settled =>
    refusedHere(refusal, prepared.address, head, registration, nowIso);
  const { mutation } = prepared;
  const refusal = mutation ? admitMutation(mutation, registration, row.held) : prepared.refusal;
  if (row.verdict === 'reused') {
    // Who may not push it anyway learns no more than that: not even that the id is used.
    return { kind: 'reused', settled: refuse(refusal ?? REUSED) };
  }
  if (refusal || !mutation || !registration) {
    return {
      kind: 'refused',
      settled: refuse(refusal ?? { code: 'entity_type_unknown', message: '/entityType' }),
    };
  }
  const hold = holdOf(row);
  const payloadBytes = Buffer.byteLength(prepared.payload);
  const fresh = { receivedAtMs, mayBeSent: false, kept: null };
  return { kind: 'work', work: { mutation, registration, payloadBytes, head, ...fresh, hold } };
}

function holdOf(row: Received): Postponed | null {
  if (row.waiting) return postponed('lane_waits');
  const open = Object.values(row.dependencies ?? {}).some(
    (status) => status === 'pending' || status === 'accepted',
  );
  return open ? postponed('dependency_waits') : null;
}
