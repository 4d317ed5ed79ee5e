import type { LocalMutation, Outcome } from '@sync/protocol';
import { keyOf } from './custody-device.ts';
import { piecesOf } from './document-text.ts';
import type { PlayedRun } from './play-run.ts';
import type { WriteFact } from './run-log.ts';

/**
 * Refusals of a change that is wrong by itself, whatever the server has: the outcome says so, and no record
 * is made. What is sent again under a new id is checked under that one.
 */
const WRONG_BY_ITSELF: readonly string[] = ['scope_not_held', 'forbidden', 'mutation_id_reused'];

/**
 * Compares a run with what the platform promises.
 *
 * 1. Every mutation has one end, and is answered the same however often it is sent.
 * 2. Every value that a person wrote is there at the end, or was overwritten by somebody who had seen it, or
 *    stands in a ConflictRecord that its author can pull, or was refused as wrong by itself.
 * 3. A statement is there once. The devices of a user agree.
 *
 * @returns one line for each broken promise
 */
export function checkRun(run: PlayedRun): string[] {
  const { log, unended } = run;
  const writes = [...log.writes.values()];
  return [
    ...new Set([
      ...(unended === null ? [] : [unended]),
      ...log.faults,
      ...writes.flatMap((write) => checkEnds(run, write)),
      ...writes.flatMap((write) => checkTokens(run, write)),
    ]),
  ];
}

/** A text that two answers to one mutation have in common; `current` and `message` follow the entity. */
function essenceOf({ status, code, conflictId, clock }: Outcome): string {
  return JSON.stringify({ status, code, conflictId, clock });
}

/**
 * An end is for ever. Only a refusal without effect may be followed by another answer (PUSH-16): on another
 * device of the user, or where a stranger's session has used the id meanwhile.
 */
function checkEnds({ log }: PlayedRun, { mutation, userId }: WriteFact): string[] {
  const answers = log.answers.get(mutation.mutationId) ?? [];
  const wasStrangers = answers.some((answer) => answer.userId !== userId);
  const ends = answers.filter((answer) => answer.userId === userId && answer.outcome.status !== 'accepted');
  return ends.slice(1).flatMap((end, place) => {
    const before = ends[place] ?? end;
    const [one, other] = [before, end].map(({ outcome }) => essenceOf(outcome));
    const mayChange = wasStrangers || before.deviceId !== end.deviceId;
    if (one === other || (isWithoutEffect(before.outcome) && mayChange)) return [];
    return [`${nameOf(mutation)} was answered in different ways: ${one} and then ${other}`];
  });
}

function isWithoutEffect({ status, conflictId }: Outcome): boolean {
  return status === 'rejected' && conflictId === undefined;
}

function checkTokens(run: PlayedRun, write: WriteFact): string[] {
  const { mutation } = write;
  const end = run.log.endOf(mutation.mutationId);
  if (!end || !run.log.sentAtMs.has(mutation.mutationId)) return [];
  const stands = end.status === 'applied' || end.status === 'merged';
  return [...write.tokens].flatMap(([field, token]) => {
    // Also where it stands in the name of somebody else, in whose session it was pushed.
    if (isShown(run, write, field, token)) return [];
    if (stands && isCovered(run, write, field, token)) return [];
    if (isRecorded(run, write, token)) return [];
    if (!stands && end.code !== undefined && WRONG_BY_ITSELF.includes(end.code)) {
      const held = run.log.answers.get(mutation.mutationId)?.some(({ outcome, userId }) => {
        return userId === write.userId && outcome.status === 'accepted';
      });
      if (!held) return [];
    }
    const code = end.code === undefined ? '' : ` (${end.code})`;
    return [`${nameOf(mutation)} is ${end.status}${code}; ${token} of ${field || 'its text'} is nowhere`];
  });
}

/** To a new device: what the writing ones hold themselves may be more than the server has. */
function isShown(
  { witnesses }: PlayedRun,
  { mutation, userId }: WriteFact,
  field: string,
  token: string,
): boolean {
  const device = witnesses.get(userId);
  const entity = device?.entity(mutation.scope, keyOf(mutation));
  if (field === '') return piecesOf(device?.text(keyOf(mutation))).includes(token);
  return entity !== undefined && JSON.stringify(entity.data?.[field] ?? null).includes(token);
}

/** Whether somebody who had seen the value wrote over it or took it away, and that stood. */
function isCovered(run: PlayedRun, write: WriteFact, field: string, token: string): boolean {
  const { log } = run;
  const key = keyOf(write.mutation);
  const sentAtMs = log.sentAtMs.get(write.mutation.mutationId) ?? 0;
  if (log.serverChanges.some((change) => change.key === key && change.atMs >= sentAtMs)) return true;
  return [...log.writes.values()].some((other) => {
    if (keyOf(other.mutation) !== key || other === write) return false;
    if (!(other.saw.get(field)?.has(token) ?? false)) return false;
    if (!log.stands(other.mutation.mutationId)) return false;
    if (other.tokens.has(field)) return true;
    if (other.removes === 'all') return true;
    return other.removes === 'left out' ? !other.tokens.has(field) : other.removes.has(token);
  });
}

/** In any record that the author can pull: as what the mutation wrote, or as what another one overwrote. */
function isRecorded({ devices }: PlayedRun, { mutation, userId }: WriteFact, token: string): boolean {
  return devices
    .filter((one) => one.userId === userId)
    .some((device) => {
      return device.records.some((record) => {
        if (record.entityId !== mutation.entityId) return false;
        const own = record.mutationId === mutation.mutationId && mutation.op === 'merge';
        return own || JSON.stringify(record).includes(token);
      });
    });
}

function nameOf({ op, entityType, mutationId }: LocalMutation): string {
  return `${op} ${entityType} ${mutationId.slice(0, 8)}`;
}
