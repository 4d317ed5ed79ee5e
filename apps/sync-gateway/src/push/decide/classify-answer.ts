import type { OwnerPushResult } from '@sync/protocol';
import { canonicalClockJson } from '@sync/vector-clock';
import { canShowStored } from './standing.ts';
import { isLookedUp, type Submission } from './submission.ts';

/** An owner's answer that the entity has the change. */
export type AppliedResult = OwnerPushResult & { readonly status: 'applied' };

/** When and where it got it. */
export type AnswerKind =
  /** Now, as it was planned. */
  | 'asPlanned'
  /** Now, and its owner has counted it itself: the clock is not the one that was sent. */
  | 'counted'
  /** Now, at another revision than planned. */
  | 'elsewhere'
  /** From an earlier attempt: the inbox answers as it did then. */
  | 'repeated'
  /** From an attempt that the ledger has forgotten: the revision is not new. */
  | 'remembered'
  /** From a change that was only asked for: the entity has its dot, or it is not to be carried out. */
  | 'lookedUp';

/** What the owner made of the values that were sent. */
export type StoredValues =
  | 'asSent'
  /** It changed them, and what it has may be shown to the device. */
  | 'shown'
  /** It changed them, and only the read model can show what it has. */
  | 'unshown';

/** Which decision it is that was carried out. */
export type Decided =
  /** The one that was sent. */
  | 'now'
  /** The one that was kept before an earlier attempt. */
  | 'kept'
  /** An earlier one, of which only the clock tells: it went as sent if it added nothing but its own dot. */
  | 'byClock';

export interface AnswerClass {
  readonly kind: AnswerKind;
  readonly values: StoredValues;
  readonly decided: Decided;
}

/** What an answer means for the lane. */
export interface AnswerMeaning {
  /** Where the entity stands: where the change led, where it was before, or where its owner says it is. */
  readonly stands: 'led' | 'before' | 'owner';
  /** Whether what was planned on top of the change still holds; else it is planned again. */
  readonly planHolds: boolean;
  /** Whether the plan can show what the change came to; else only the read model can. */
  readonly isSeen: boolean;
}

const LED = { stands: 'led', planHolds: false, isSeen: true } as const;
const OWNER = { stands: 'owner', planHolds: false, isSeen: true } as const;
const UNSEEN = { stands: 'owner', planHolds: false, isSeen: false } as const;
const BEFORE = { stands: 'before', planHolds: false, isSeen: false } as const;

/**
 * Total in its types: every cell is decided.
 *
 * | kind       | values as sent                | changed and shown | changed, not shown |
 * | ---------- | ----------------------------- | ----------------- | ------------------ |
 * | asPlanned  | led, the plan holds           | led               | owner, unseen      |
 * | counted    | led                           | led               | owner, unseen      |
 * | elsewhere  | owner                         | owner             | owner, unseen      |
 * | repeated   | owner, unseen                 | owner, unseen     | owner, unseen      |
 * | remembered | before, unseen                | before, unseen    | before, unseen     |
 * | lookedUp   | before, unseen, the plan holds| before, unseen    | before, unseen     |
 */
export const MEANINGS: Readonly<Record<AnswerKind, Readonly<Record<StoredValues, AnswerMeaning>>>> = {
  asPlanned: { asSent: { ...LED, planHolds: true }, shown: LED, unshown: UNSEEN },
  counted: { asSent: LED, shown: LED, unshown: UNSEEN },
  elsewhere: { asSent: OWNER, shown: OWNER, unshown: UNSEEN },
  repeated: { asSent: UNSEEN, shown: UNSEEN, unshown: UNSEEN },
  remembered: { asSent: BEFORE, shown: BEFORE, unshown: BEFORE },
  lookedUp: { asSent: { ...BEFORE, planHolds: true }, shown: BEFORE, unshown: BEFORE },
};

/** What decided a change that nothing was kept of. */
const DECIDED: Readonly<Record<AnswerKind, 'now' | 'byClock'>> = {
  asPlanned: 'now',
  counted: 'now',
  elsewhere: 'now',
  repeated: 'byClock',
  remembered: 'byClock',
  lookedUp: 'byClock',
};

/** @param submission on the standing that was reached before it, not only planned */
export function classifyAnswer(submission: Submission, result: AppliedResult): AnswerClass {
  const { work, change } = submission;
  const kind = kindOf(submission, result);
  // What was decided then is what happened, unless what is decided now is just what came about.
  const isKept = kind !== 'asPlanned' && work.mayBeSent && change.record === null && work.kept !== null;
  return { kind, values: valuesOf(submission, result), decided: isKept ? 'kept' : DECIDED[kind] };
}

function kindOf(submission: Submission, { revision, clock }: AppliedResult): AnswerKind {
  const { work, change, after } = submission;
  if (isLookedUp(submission)) return 'lookedUp';
  // Of what it makes now an owner tells a higher revision.
  if (change.expectedRevision > 0 && revision <= change.expectedRevision) return 'remembered';
  const isCounted = clock !== undefined && canonicalClockJson(clock) !== canonicalClockJson(change.clock);
  if (isCounted && work.mayBeSent) return 'repeated';
  if (revision !== after.revision) return 'elsewhere';
  return isCounted ? 'counted' : 'asPlanned';
}

function valuesOf({ work }: Submission, { changed, data }: AppliedResult): StoredValues {
  if (changed !== true) return 'asSent';
  return canShowStored(data, work) ? 'shown' : 'unshown';
}
