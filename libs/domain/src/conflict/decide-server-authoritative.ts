import type { Decision, DecisionInput } from './decision.ts';
import { detectConflict } from './detect-conflict.ts';
import { recordRefused } from './record-refused.ts';
import { submitAsSent } from './submission.ts';

/**
 * The server's value always wins: a mutation made without having seen it is rejected (`server_changed`) and
 * recorded. Review is not asked for: there is nothing for a person to decide.
 */
export function decideServerAuthoritative(input: DecisionInput): Decision {
  const { mutation, current } = input;
  if (current === null || detectConflict(current.clock, mutation.baseClock) === 'clean') {
    return submitAsSent(input, 'applied');
  }
  return { kind: 'reject', code: 'server_changed', record: recordRefused(input, current) };
}
