import type { RegisteredEntityType } from '@sync/protocol';
import { admitMutation } from './admit-mutation.ts';
import { type EntityHead, headOf } from './entity-head.ts';
import type { Received } from './ledger-store.ts';
import { acceptedText, outcomeText } from './outcome-text.ts';
import type { EntityAddress, Prepared, Refusal } from './prepare-mutation.ts';
import { REUSED } from './push-batch.ts';
import { type Postponed, postponed, refused, type Settled, type Work } from './settlement.ts';
import { absentText } from './standing.ts';

/** What has to be done about a received mutation. */
export type Sorted =
  /** It has its outcome. */
  | { readonly kind: 'answered'; readonly text: string }
  /** Somebody else handles it, but nothing durable says yet that it was accepted. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'refused'; readonly settled: Settled }
  | { readonly kind: 'work'; readonly work: Work };

/** @param registration of the mutation's entity type, null when there is none */
export function sortReceived(
  prepared: Prepared,
  row: Received,
  registration: RegisteredEntityType | null,
  nowIso: string,
): Sorted {
  if (row.verdict === 'answered')
    return { kind: 'answered', text: row.outcome ?? acceptedText(prepared.mutationId) };
  if (row.verdict === 'accepted') return { kind: 'answered', text: acceptedText(prepared.mutationId) };
  if (row.verdict === 'pending') return { kind: 'pending' };
  const head = headOf(row);
  const refuse = (refusal: Refusal): Settled =>
    refusedHere(refusal, prepared.address, head, registration, nowIso);
  if (row.verdict === 'reused') {
    return { kind: 'answered', text: outcomeText(prepared.mutationId, refuse(REUSED)) };
  }
  const { mutation } = prepared;
  if (!mutation) return { kind: 'refused', settled: refuse(prepared.refusal) };
  const refusal = admitMutation(mutation, registration, row.held);
  if (refusal || !registration) {
    return {
      kind: 'refused',
      settled: refuse(refusal ?? { code: 'entity_type_unknown', message: '/entityType' }),
    };
  }
  const hold = holdOf(row);
  const payloadBytes = Buffer.byteLength(prepared.payload);
  const fresh = { mayBeSent: false, kept: null };
  return { kind: 'work', work: { mutation, registration, payloadBytes, head, ...fresh, hold } };
}

function holdOf(row: Received): Postponed | null {
  if (row.waiting) return postponed('lane_waits');
  const open = Object.values(row.dependencies ?? {}).some(
    (status) => status === 'pending' || status === 'accepted',
  );
  return open ? postponed('dependency_waits') : null;
}

/** A refusal with the entity as the device may see it; without one when the mutation does not even name an entity. */
export function refusedHere(
  refusal: Refusal,
  address: EntityAddress | null,
  head: EntityHead | null,
  registration: RegisteredEntityType | null,
  nowIso: string,
): Settled {
  if (!address) return { kind: 'settled', status: 'rejected', ...refusal };
  const current = head?.wire ?? absentText(address, registration?.schemaVersion ?? 1, nowIso);
  return refused(refusal, current);
}
