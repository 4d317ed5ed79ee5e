import { EXISTENCE_FIELD, mutationWrite } from '../entity.ts';
import { compareWrites, hasSeen, readFieldWrite } from './field-writes.ts';
import { decideLww } from './decide-lww.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { detectConflict } from './detect-conflict.ts';
import { draftRecord, submitAsSent, withoutDeleted } from './submission.ts';

/**
 * Document updates (`merge`) always go to the owner, whose document merges them in any order; put, patch and
 * delete touch the plain fields beside the document and follow last writer wins. Where the entity is deleted, no
 * patch brings it back: the text would not come back with its fields.
 *
 * The one update that does not go through is one that a later deletion, unseen by the device, has overtaken,
 * whether or not the document was made anew since: it is superseded, and its bytes are kept in the record.
 */
export function decideCrdtYjs(input: DecisionInput): Decision {
  const { mutation, current } = input;
  if (mutation.op !== 'merge') return decideLww({ ...input, current: current && withoutDeleted(current) });
  if (current === null || detectConflict(current.clock, mutation.baseClock) === 'clean') {
    return submitAsSent(input, 'applied');
  }
  const existence = readFieldWrite(current.fieldWrites, EXISTENCE_FIELD);
  const deletion = current.deleted ? existence : existence?.deletion;
  const overtaken =
    deletion && !hasSeen(mutation, deletion) && compareWrites(deletion, mutationWrite(mutation)) > 0;
  if (!overtaken) return submitAsSent(input, 'merged');
  const record = draftRecord(input, withoutDeleted(current), 'auto', [
    { field: EXISTENCE_FIELD, winner: 'ours' },
  ]);
  return { kind: 'supersede', record };
}
