import { deepEqualJson, readField } from '../json.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { detectConflict } from './detect-conflict.ts';
import { draftRecord, fieldConflict, submitAsSent } from './submission.ts';

/**
 * The server's value always wins: a mutation made without having seen it is rejected (`server_changed`) and recorded.
 * Review is not asked for: there is nothing for a person to decide.
 */
export function decideServerAuthoritative(input: DecisionInput): Decision {
  const { mutation, current } = input;
  if (current === null || detectConflict(current.clock, mutation.baseClock) === 'clean') {
    return submitAsSent(input, 'applied');
  }
  const present = current.data ?? {};
  const conflicts = Object.entries(mutation.data ?? {})
    .filter(([field, theirs]) => !deepEqualJson(readField(present, field), theirs))
    .map(([field, theirs]) =>
      fieldConflict(field, { ours: readField(present, field), theirs, winner: 'ours' }),
    );
  return {
    kind: 'reject',
    code: 'server_changed',
    record: draftRecord(input, current, 'auto', conflicts),
  };
}
