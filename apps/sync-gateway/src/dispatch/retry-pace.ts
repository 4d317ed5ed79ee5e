/** With how many others, and when, mutations are tried again. */
import { backoffMs } from '@sync/domain';
import type { Settlement } from '../push/outcome/settlement.ts';
import type { Failing } from '../push/owners/give-up.ts';
import type { OpenMutation } from './dispatch-store.ts';

const RETRY_BACKOFF = { baseMs: 500, capMs: 60_000 } as const;
/** Of a mutation that its owner fails at: it waits for a release, not for a restart. */
const FAILING_BACKOFF = { baseMs: 500, capMs: 15 * 60_000 } as const;

/**
 * With how many others each mutation goes at most that its owner did not answer in time. The first time with
 * as many as before, because an owner that was only slow has all the answers by now; then with half as many
 * each time, so that one that it never answers does not keep the others from their outcomes.
 */
export function togetherOf(rows: readonly OpenMutation[]): Map<string, number> {
  const silent = rows.filter(({ last_error: reason }) => reason === 'owner_silent');
  return new Map(
    silent.map(({ mutation_id: mutationId, attempts }) => {
      return [mutationId, Math.max(1, Math.ceil(silent.length / 2 ** (attempts - 1)))];
    }),
  );
}

/** As it will be if the present attempt fails as well. */
export function failingOf(rows: readonly OpenMutation[]): Map<string, Failing> {
  return new Map(
    rows.map(({ mutation_id: mutationId, failures, failing_since_ms: sinceMs }) => {
      return [mutationId, { failures: failures + 1, sinceMs }];
    }),
  );
}

/**
 * Until the next attempt at what was postponed, milliseconds.
 * @param random in [0, 1)
 */
export function delayOf(row: OpenMutation, settlement: Settlement, random: number): number {
  const reason = settlement.kind === 'postponed' ? settlement.reason : null;
  const failing = reason === 'owner_failed';
  // What was not even sent has no failed attempts to pause for.
  const attempts = failing ? row.failures + 1 : reason === 'owner_busy' ? 1 : row.attempts;
  return backoffMs(attempts, failing ? FAILING_BACKOFF : RETRY_BACKOFF, random);
}
