import { hash } from 'node:crypto';
import { shorten, storableText } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import type { IncomingEvent } from '../projection/incoming-event.ts';
import type { EventOutcome } from '../projection/project-events.ts';

/** An event that could not be projected, about to be kept. */
export interface Refusal {
  readonly incoming: IncomingEvent;
  readonly outcome: Extract<EventOutcome, { kind: 'refused' }>;
}

const MAX_CAUSE_LENGTH = 2_000;

/** The refused ones of a batch, in their order. */
export function refusalsOf(
  incoming: readonly IncomingEvent[],
  outcomes: readonly EventOutcome[],
): readonly Refusal[] {
  return outcomes.flatMap((outcome, at) => {
    const event = incoming[at];
    return outcome.kind === 'refused' && event !== undefined ? [{ incoming: event, outcome }] : [];
  });
}

/**
 * Keeps refused events in the transaction that refused them, so that moving past them loses nothing. Those
 * that name no tenant go to `unreadable_event`.
 */
export async function recordRefusals(tx: Tx, refusals: readonly Refusal[], now: Date): Promise<void> {
  const letters = new Map<string, object>();
  const unreadable = new Map<string, readonly string[]>();
  for (const { incoming, outcome } of refusals) {
    const { identity, text, producer } = incoming;
    const eventHash = hash('sha256', text, 'hex');
    const cause = storableCause(outcome.cause);
    if (identity.tenantId === null) {
      unreadable.set(eventHash, [producer, outcome.code, cause, text, eventHash]);
      continue;
    }
    // A text that comes twice in one batch is kept once: one statement cannot touch a row twice.
    letters.set(`${identity.tenantId} ${eventHash}`, {
      tenant: identity.tenantId,
      producer,
      event_id: identity.eventId,
      entity_type: identity.entityType,
      entity_id: identity.entityId,
      revision: identity.revision,
      code: outcome.code,
      cause,
      event: text,
      hash: eventHash,
      holds: outcome.holds,
    });
  }
  if (letters.size > 0) {
    const json = JSON.stringify([...letters.values()]);
    await tx.call('record_dead_letters', 'SELECT record_dead_letters($1, $2)', [json, now]);
  }
  if (unreadable.size > 0) await recordUnreadable(tx, [...unreadable.values()], now);
}

/** A cause may quote the event: cut, and without what no `text` column takes. */
export function storableCause(cause: string): string {
  return storableText(shorten(cause, MAX_CAUSE_LENGTH));
}

async function recordUnreadable(tx: Tx, rows: readonly (readonly string[])[], now: Date): Promise<void> {
  const column = (at: number): (string | undefined)[] => rows.map((row) => row[at]);
  await tx.query(
    `INSERT INTO unreadable_event AS u (producer, code, cause, event, event_hash, failed_at)
     SELECT r.*, $6 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS r
     ON CONFLICT (event_hash) DO UPDATE SET attempts = u.attempts + 1, failed_at = excluded.failed_at`,
    [column(0), column(1), column(2), column(3), column(4), now],
  );
}
