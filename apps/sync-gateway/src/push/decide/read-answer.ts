import {
  type ConflictDraft,
  type Decision,
  decide,
  type DecisionInput,
  type EntityState,
  type JsonObject,
  recordOverlaps,
  type SubmitDecision,
} from '@sync/domain';
import type { DocumentOverlaps, OwnerPushResult, OwnerState } from '@sync/protocol';
import { OUTCOME_CODES } from '@sync/protocol/outcome-codes';
import { canonicalClockJson, deviceReplica, type VectorClock } from '@sync/vector-clock';
import type { AwaitedRevision, KeptDecision, Settled, Work } from '../outcome/settlement.ts';
import { type AnswerClass, type AppliedResult, classifyAnswer, MEANINGS } from './classify-answer.ts';
import { conflictOf, lostContent, refusedConflict, type WithConflict } from './conflict-of.ts';
import {
  bareState,
  canProject,
  currentText,
  isShownIn,
  type Standing,
  standingOfHead,
  standingOfOwner,
  standingOfVisible,
  standingUnderClock,
  standingWithStored,
} from './standing.ts';
import { isLookedUp, type Submission } from './submission.ts';

/** Whose mutations they are, and when. */
export interface Scene {
  readonly deviceId: string;
  readonly nowIso: string;
}

/** Its owner is ahead of what the change was decided on. */
export type Ahead = OwnerPushResult & { readonly status: 'conflict' };

/** What an owner's answer says of a change and of its entity. */
export interface ReadAnswer {
  readonly settled: Settled;
  /** Where the entity stands now; null: the answer does not say. */
  readonly standing: Standing | null;
  /** What was planned on top of the change still holds. */
  readonly planHolds: boolean;
  /**
   * What was planned as the standing after the change, as it came about: under a clock of its owner's, or
   * with values of its own.
   */
  readonly reached: Standing;
  /** Only the read model can show what it came to. */
  readonly awaited: AwaitedRevision | null;
}

/** Codes of owners on the SDK that say nothing about the mutation, but of what stands already. */
const REFUSED_BY_STATE: ReadonlySet<string> = new Set(['clock_limit_exceeded', 'entity_exists']);

/**
 * Codes that an earlier attempt may have asked its owner to refuse it with, whose answer was lost (OWNER-17):
 * what was found wrong then may be well by now, and the owner keeps its word.
 */
const ASKED_TO_REFUSE: ReadonlySet<string> = new Set([
  'append_only_violation',
  'op_not_allowed',
  'schema_version_unknown',
  'scope_not_held',
  'tag_missing',
  'tag_unverifiable',
]);

const STATUS_OF = { supersede: 'superseded', reject: 'rejected', hold: 'conflict' } as const;

/** @param submission on the standing that was reached before it, not only planned */
export function readAnswer(
  submission: Submission,
  result: Exclude<OwnerPushResult, Ahead>,
  scene: Scene,
): ReadAnswer {
  if (result.status === 'rejected') return readRefusal(submission, result, scene);
  const { work, change, before } = submission;
  const answer = classifyAnswer(submission, result);
  const { stands, planHolds, isSeen } = MEANINGS[answer.kind][answer.values];
  const { revision, clock = change.clock } = result;
  const led = ledTo(submission, result, answer);
  const owner = { revision, clock, deleted: led.deleted, data: null };
  const learnt = {
    standing: stands === 'owner' ? standingOfOwner(owner, before.seen) : led,
    planHolds,
    reached: led,
  };
  const { status, record } = carriedOut(submission, answer, clock, scene);
  const met = result.overlaps ? draftOfOverlaps(work, result.overlaps, before.clock ?? {}) : null;
  const conflict = conflictOf(work, record ?? met);
  if (status === 'applied' && answer.values === 'asSent') {
    const settled: Settled = { kind: 'settled', status, clock, revision, ...conflict };
    return { ...learnt, settled, awaited: null };
  }
  const current = currentOf(led, work, scene);
  const settled: Settled = { kind: 'settled', status: 'merged', clock, revision, current, ...conflict };
  const isElsewhere =
    result.data !== undefined && isShownIn(result.data as JsonObject | null, work) === false;
  const isShown = isSeen && answer.decided !== 'kept' && canProject(work.registration);
  const awaited = isShown && led.state() !== undefined ? null : { revision, isElsewhere };
  return { ...learnt, settled, awaited };
}

/** What an update of a document met. */
function draftOfOverlaps(
  { mutation, registration }: Work,
  overlaps: DocumentOverlaps,
  clockOurs: VectorClock,
): ConflictDraft | null {
  const { policy, review = 'none' } = registration;
  const merged = { ...mutation, update: mutation.update ?? null };
  return recordOverlaps({ mutation: merged, policy, review }, overlaps, clockOurs);
}

/** Where the entity stands after a change, as far as the plan tells. */
function ledTo(
  { work, change, before, after }: Submission,
  { clock = change.clock, data }: AppliedResult,
  { kind, values }: AnswerClass,
): Standing {
  if (kind === 'remembered' || kind === 'lookedUp') return before;
  // An earlier attempt was counted on another state: its clock says nothing of the values that were planned.
  const isCounted = kind === 'counted' || kind === 'elsewhere';
  const made = isCounted ? standingUnderClock(after, clock) : after;
  // Where its owner answers that nothing is left, there is nothing to be shown either.
  const isKnown = values === 'shown' || (values === 'unshown' && data === null);
  return isKnown && data !== undefined ? standingWithStored(made, data, work) : made;
}

/** The decision that was carried out. */
function carriedOut(
  { work, change: { status, record } }: Submission,
  { decided }: AnswerClass,
  clock: VectorClock,
  scene: Scene,
): KeptDecision {
  if (decided === 'kept' && work.kept) return work.kept;
  if (decided === 'byClock') return { status: isOwnStep(clock, work, scene) ? 'applied' : 'merged', record };
  return { status, record };
}

/**
 * Whether the entity's clock after a change says that it went as sent: but for its device's entry it is
 * what the device had seen.
 */
function isOwnStep(clock: VectorClock, { mutation }: Work, { deviceId }: Scene): boolean {
  const others = (seen: VectorClock): string => canonicalClockJson({ ...seen, [deviceReplica(deviceId)]: 0 });
  return others(clock) === others(mutation.baseClock);
}

function readRefusal(
  submission: Submission,
  { code, message }: OwnerPushResult & { readonly status: 'rejected' },
  scene: Scene,
): ReadAnswer {
  const { work, before } = submission;
  const current = currentOf(before, work, scene);
  const refusal = { code, ...(message ? { message } : {}), current };
  const lost = lostTo(submission, code, scene);
  const settled: Settled = { kind: 'settled', status: 'rejected', ...refusal, ...lost };
  return { settled, standing: null, planHolds: false, reached: submission.after, awaited: null };
}

/**
 * The record of what the owner refused, where it lost to what stands and not by itself: it had been merged
 * into a state that its device had not seen, the entity takes nothing more, or there is none of which it
 * could be a part; or where it may have been refused at our word. Of an update always: nobody can type again
 * what an app made of a person's words, and what was written after it builds on it.
 */
function lostTo(submission: Submission, code: string, { deviceId }: Scene): WithConflict {
  const { work, change, before } = submission;
  // An answer that was lost is said again, about a state that may be gone: what was kept then was no change
  // as sent, and of a patch nobody knows any more what there was.
  const wasMerged = change.status === 'merged' || work.kept !== null;
  const mayLackRest = change.op === 'patch' && (isNothing(before) || isLookedUp(submission));
  const atOurWord = work.mayBeSent && ASKED_TO_REFUSE.has(code);
  const byItself = !wasMerged && !mayLackRest && !atOurWord && !REFUSED_BY_STATE.has(code);
  if (byItself && change.op !== 'merge') return {};
  return refusedConflict(work, deviceId, knownOf(before));
}

/**
 * Whatever an owner says of a patch of it, it says of an entity that has only what the patch names. By its
 * clock the device knows that there is none, and yet it may have shown one to a person: where it pulled one
 * again before the deletion was projected, or where what should have made it was refused.
 */
function isNothing({ deleted, revision }: Standing): boolean {
  return deleted || revision === 0;
}

/** As its device may see it, where the plan cannot tell more than its owner's word. */
function knownOf(standing: Standing): EntityState | null {
  const { head } = standing.seen;
  // Whoever saw it may know that it is gone: the read model may still have it.
  const asSeen = standing.deleted && head ? bareState(standing) : standingOfHead(head).state();
  return standing.state() ?? asSeen ?? null;
}

/** The end of a mutation that needs no owner. */
export function endOf(
  work: Work,
  decision: Exclude<Decision, SubmitDecision>,
  before: Standing,
  scene: Scene,
): Settled {
  return {
    kind: 'settled',
    status: STATUS_OF[decision.kind],
    current: currentOf(before, work, scene),
    ...(decision.kind === 'reject' ? { code: decision.code, message: OUTCOME_CODES[decision.code] } : {}),
    ...conflictOf(work, decision.record),
  };
}

/**
 * The end of a mutation of an entity that does not exist, and whose creation, which it counts, never came.
 */
export function endOfOrphan(work: Work, before: Standing, scene: Scene): Settled {
  return {
    ...{ kind: 'settled', status: 'rejected', code: 'dependency_failed' },
    message: '/baseClock: it counts changes of this device that never came',
    current: currentOf(before, work, scene),
    ...lostContent(work, scene.deviceId, before.state() ?? null),
  };
}

/**
 * The end of a mutation whose entity lives on, but not in its scope any more: the device was told of its
 * deletion there and has no say in it now.
 */
export function endOfHidden(work: Work, standing: Standing, scene: Scene): Settled {
  return {
    ...{ kind: 'settled', status: 'rejected', code: 'forbidden' },
    message: `/scope: ${work.mutation.scope} does not have the entity any more`,
    current: currentOf(standing, work, scene),
    ...refusedConflict(work, scene.deviceId, standing.state() ?? null),
  };
}

/**
 * An append whose id is taken, of an owner that does not say itself whether it is the same record: it is
 * where all that it names stands, in sight of its user. Another one never can be applied.
 */
export function endOfTakenId(
  {
    work,
    before,
    input,
  }: Pick<Submission, 'work' | 'before'> & { readonly input: Omit<DecisionInput, 'current'> },
  owner: OwnerState,
  scene: Scene,
): Settled {
  const { revision, deleted } = owner;
  const clock = owner.clock ?? work.mutation.clock;
  const data = owner.data as JsonObject | null;
  const current = { revision, clock, data, deleted, deletedData: null, fieldWrites: {} };
  const decision = decide({ ...input, current });
  if (decision.kind === 'submit' && isShownIn(data, work) !== false) {
    return { kind: 'settled', status: 'applied', clock, revision };
  }
  // The decision's own record would hold the owner's data, which this user may never have been allowed to
  // see.
  const visible = standingOfVisible(owner, work.registration, work.mutation, before.seen) ?? before;
  const end = endOf(work, { kind: 'reject', code: 'append_only_violation', record: null }, visible, scene);
  const lost = refusedConflict(work, scene.deviceId, visible.state() ?? null);
  return { ...end, message: 'The id is taken by another record', ...lost };
}

function currentOf(standing: Standing, { mutation, registration }: Work, { nowIso }: Scene): string {
  return currentText(standing, registration, mutation, nowIso);
}
