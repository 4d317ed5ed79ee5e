import { storableJson } from '@sync/domain';
import type { Settled } from './settlement.ts';

/**
 * The wire text of an Outcome, made once: it is stored, sent, and sent again whenever the mutation comes
 * again. `current` is JSON text already and goes in as it is, last: what stands before it says whether there
 * is a record (`is_without_effect` in SQL).
 * @param current null leaves it out
 */
export function outcomeText(
  mutationId: string,
  settled: Settled,
  current: string | null | undefined = settled.current,
): string {
  const { status, clock, code, message, conflict } = settled;
  const head = { mutationId, status, clock, code, message, conflictId: conflict?.conflictId };
  const text = storableJson(head);
  return typeof current !== 'string' ? text : `${text.slice(0, -1)},"current":${current}}`;
}

/**
 * Durably held; its outcome follows in a pull.
 * @param retryAfterMs until it is tried next, where that is known: asking for the outcome earlier is
 * pointless
 */
export function acceptedText(mutationId: string, retryAfterMs?: number): string {
  const known = retryAfterMs === undefined ? '' : `,"retryAfterMs":${retryAfterMs}`;
  return `{"mutationId":"${mutationId}","status":"accepted"${known}}`;
}
