import { describe, expect, it } from '@jest/globals';
import type { KeptDecision, Work } from '../outcome/settlement.ts';
import { applied, context, headOf, plan, planned, workOf } from '../testing/lane-rig.ts';
import {
  type AnswerKind,
  type AppliedResult,
  classifyAnswer,
  type Decided,
  type StoredValues,
} from './classify-answer.ts';
import { readAnswer } from './read-answer.ts';
import type { Submission } from './submission.ts';

/** A patch that meets a change of the server, at revision 7, and overwrites nothing. */
function submissionFor(kind: AnswerKind, more: Partial<Work> = {}): Submission {
  const isSent = kind === 'repeated' || kind === 'lookedUp';
  const work = workOf({ data: { text: 'mine' } }, { mayBeSent: isSent, ...more });
  const clock = { 's:learning': 5, ...(kind === 'lookedUp' ? { 'd:d1': 1 } : {}) };
  const [submission] = planned([work], headOf(7, clock, { colour: 'red' })).submissions;
  return submission as Submission;
}

const ITS_OWN = { 's:learning': 6, 'd:d1': 1 };
const AS_SENT = { 'd:d1': 1 };
const ANSWERS: Readonly<Record<AnswerKind, Pick<AppliedResult, 'revision' | 'clock'>>> = {
  asPlanned: { revision: 8, clock: { 's:learning': 5, 'd:d1': 1 } },
  counted: { revision: 8, clock: ITS_OWN },
  elsewhere: { revision: 9 },
  repeated: { revision: 9, clock: ITS_OWN },
  remembered: { revision: 5, clock: ITS_OWN },
  lookedUp: { revision: 6, clock: ITS_OWN },
};
const VALUES: Readonly<Record<StoredValues, Partial<AppliedResult>>> = {
  asSent: {},
  shown: { changed: true, data: { userId: 'u1', text: 'MINE', colour: 'red', hidden: true } },
  unshown: { changed: true },
};

function answerOf(kind: AnswerKind, { work }: Submission, more: Partial<AppliedResult> = {}): AppliedResult {
  return { ...applied(work, 0), status: 'applied', ...ANSWERS[kind], ...more };
}

/** As in the table of `MEANINGS`: where the entity stands, whether the plan holds, who shows what it came to. */
type Cell = readonly ['led' | 'before' | 'owner', 'holds' | 'void', 'seen' | 'unseen'];
const CELLS: Readonly<Record<AnswerKind, Readonly<Record<StoredValues, Cell>>>> = {
  asPlanned: {
    asSent: ['led', 'holds', 'seen'],
    shown: ['led', 'void', 'seen'],
    unshown: ['owner', 'void', 'unseen'],
  },
  counted: {
    asSent: ['led', 'void', 'seen'],
    shown: ['led', 'void', 'seen'],
    unshown: ['owner', 'void', 'unseen'],
  },
  elsewhere: {
    asSent: ['owner', 'void', 'seen'],
    shown: ['owner', 'void', 'seen'],
    unshown: ['owner', 'void', 'unseen'],
  },
  repeated: {
    asSent: ['owner', 'void', 'unseen'],
    shown: ['owner', 'void', 'unseen'],
    unshown: ['owner', 'void', 'unseen'],
  },
  remembered: {
    asSent: ['before', 'void', 'unseen'],
    shown: ['before', 'void', 'unseen'],
    unshown: ['before', 'void', 'unseen'],
  },
  lookedUp: {
    asSent: ['before', 'holds', 'unseen'],
    shown: ['before', 'void', 'unseen'],
    unshown: ['before', 'void', 'unseen'],
  },
};
const kinds = Object.keys(CELLS) as AnswerKind[];
const cells = kinds.flatMap((kind) => {
  return (Object.keys(CELLS[kind]) as StoredValues[]).map((values) => [kind, values] as const);
});

describe('an answer', () => {
  it.each(cells)('%s, with values %s', (kind, values) => {
    const submission = submissionFor(kind);
    const result = answerOf(kind, submission, VALUES[values]);
    expect(classifyAnswer(submission, result)).toMatchObject({ kind, values });
    const { standing, planHolds, awaited, settled } = readAnswer(submission, result, context);
    const [stands, holds, seen] = CELLS[kind][values];
    const at = standing?.state();
    expect({ holds: planHolds, seen: awaited === null }).toEqual({
      holds: holds === 'holds',
      seen: seen === 'seen',
    });
    if (stands === 'before') expect(standing).toBe(submission.before);
    else expect(standing?.revision).toBe(result.revision);
    expect(at === undefined).toBe(stands === 'owner');
    if (stands === 'led') {
      const text = values === 'shown' ? 'MINE' : 'mine';
      expect(at).toMatchObject({ clock: result.clock, data: { text, colour: 'red' } });
    }
    expect(settled).toMatchObject({ status: 'merged', clock: result.clock ?? submission.change.clock });
  });
});

describe('an answer', () => {
  it('is remembered up to the revision that was expected', () => {
    const submission = submissionFor('remembered');
    const kindAt = (revision: number): AnswerKind => {
      return classifyAnswer(submission, answerOf('asPlanned', submission, { revision })).kind;
    };
    expect([kindAt(7), kindAt(8)]).toEqual(['remembered', 'asPlanned']);
  });

  it('from elsewhere is shown under the clock that its owner counted', () => {
    const submission = submissionFor('elsewhere');
    const result = answerOf('elsewhere', submission, { clock: ITS_OWN });
    const { current } = readAnswer(submission, result, context).settled;
    expect(JSON.parse(current ?? '{}')).toMatchObject({ clock: ITS_OWN, data: { text: 'mine' } });
  });

  it('whose values stand as sent needs no data, and what is changed is merged though it went as sent', () => {
    const work = workOf({ op: 'put', baseClock: { 's:learning': 5 } });
    const [submission] = planned([work], headOf(7, { 's:learning': 5 }, { text: 'old' })).submissions;
    const asSent = { data: { text: 'not looked at' }, clock: { 's:learning': 5, 'd:d1': 1 } };
    const read = (more: Partial<AppliedResult>): ReturnType<typeof readAnswer> =>
      readAnswer(submission as Submission, answerOf('asPlanned', submission as Submission, more), context);
    expect(read(asSent).settled.status).toBe('applied');
    expect(read(asSent).standing?.state()).toMatchObject({ data: work.mutation.data });
    expect(read(VALUES.shown).settled).toMatchObject({ status: 'merged' });
  });

  it('to what was decided on the word of the ledger can be shown by the read model alone', () => {
    const lane = planned([workOf({ op: 'put', baseClock: { 'd:d1': 1 } })]);
    const told = { revision: 7, clock: { 'd:d1': 1 }, deleted: false };
    lane.learnKnown({ head: null, told, counted: 1, restored: false, ownSequence: null });
    plan(lane);
    const submission = lane.submissions[0] as Submission;
    const result = { ...answerOf('asPlanned', submission, VALUES.shown), clock: submission.change.clock };
    expect(readAnswer(submission, result, context).awaited).toMatchObject({ revision: 8 });
  });
});

describe('the decision that was carried out', () => {
  const KEPT: KeptDecision = { status: 'applied', record: null };
  const sent = { mayBeSent: true, kept: KEPT };
  it.each<[AnswerKind, string, Partial<Work>, Partial<AppliedResult>, Decided, string]>([
    ['asPlanned', 'by this attempt', {}, {}, 'now', 'merged'],
    ['asPlanned', 'by this or an earlier one', sent, {}, 'now', 'merged'],
    ['counted', 'by this attempt', {}, {}, 'now', 'merged'],
    ['counted', 'by this, and what is kept was never sent', { kept: KEPT }, {}, 'now', 'merged'],
    ['elsewhere', 'by this attempt', {}, {}, 'now', 'merged'],
    ['elsewhere', 'perhaps by an earlier one', sent, {}, 'kept', 'applied'],
    ['elsewhere', 'perhaps by one that kept nothing', { mayBeSent: true }, {}, 'now', 'merged'],
    ['repeated', 'by one that kept it', sent, {}, 'kept', 'applied'],
    ['repeated', 'by one that kept nothing, as sent', {}, { clock: AS_SENT }, 'byClock', 'applied'],
    ['repeated', 'by one that kept nothing, on more', {}, {}, 'byClock', 'merged'],
    ['remembered', 'by one that kept it', sent, {}, 'kept', 'applied'],
    ['remembered', 'by a forgotten one, as sent', {}, { clock: AS_SENT }, 'byClock', 'applied'],
    ['remembered', 'by a forgotten one, on more', {}, {}, 'byClock', 'merged'],
    ['lookedUp', 'by one that kept it', sent, {}, 'kept', 'applied'],
    ['lookedUp', 'by one that kept nothing, as sent', {}, { clock: AS_SENT }, 'byClock', 'applied'],
    ['lookedUp', 'by one that kept nothing, on more', {}, {}, 'byClock', 'merged'],
  ])('%s, %s', (kind, _by, more, answer, decided, status) => {
    const submission = submissionFor(kind, more);
    const result = answerOf(kind, submission, answer);
    expect(classifyAnswer(submission, result)).toMatchObject({ kind, decided });
    expect(readAnswer(submission, result, context).settled).toMatchObject({ status });
  });

  it('is shown by the read model where it was kept', () => {
    const submission = submissionFor('elsewhere', { ...sent, kept: { status: 'merged', record: null } });
    const result = answerOf('elsewhere', submission);
    expect(readAnswer(submission, result, context).awaited).toMatchObject({ revision: 9 });
  });

  it('is what is recorded anew, whatever was kept', () => {
    const work = workOf({ data: { colour: 'blue' } }, sent);
    const [submission] = planned([work], headOf(7, { 's:learning': 5 }, { colour: 'red' })).submissions;
    const result = answerOf('repeated', submission as Submission);
    expect(classifyAnswer(submission as Submission, result).decided).toBe('byClock');
    const { settled } = readAnswer(submission as Submission, result, context);
    expect(settled.conflict?.draft).toMatchObject({ ours: { colour: 'red' }, theirs: { colour: 'blue' } });
  });
});
