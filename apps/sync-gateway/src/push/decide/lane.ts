import {
  believed,
  type Decision,
  type DecisionInput,
  decide,
  detectConflict,
  type JsonObject,
  lookUp,
  POLICIES,
  wantsDeletedData,
} from '@sync/domain';
import type { OwnerPushResult } from '@sync/protocol';
import type { EntityHead, KnownEntity } from '../../read-model/entity-head.ts';
import {
  type AwaitedCurrent,
  type Postponed,
  postponed,
  type Settled,
  type Settlement,
  type Work,
} from '../outcome/settlement.ts';
import { DeviceChanges } from './device-changes.ts';
import { bringForward } from './earlier-changes.ts';
import { LaneEnds } from './lane-ends.ts';
import type { LaneNeed } from './lane-need.ts';
import { inputOf } from './mutation-input.ts';
import { ownCount } from './own-count.ts';
import { Plan, type PlannedEnd } from './plan.ts';
import {
  type Ahead,
  endOf,
  endOfHidden,
  endOfOrphan,
  endOfTakenId,
  readAnswer,
  type Scene,
} from './read-answer.ts';
import {
  bareState,
  type Standing,
  standingOfHead,
  standingAhead,
  standingOfOwner,
  standingWithDeleted,
} from './standing.ts';
import { isLookedUp, type Submission, submissionOf } from './submission.ts';

/** How the rest of the process answers a lane's questions. */
export interface LaneContext extends Scene {
  readonly serverNowMs: number;
  /** Each mutation is sent alone, because one may break its owner. */
  readonly apart: boolean;
  /** What has to happen to a mutation because of those it depends on; null when it may go. */
  readonly gate: (work: Work) => Settlement | null;
}

const LANE_WAITS = postponed('lane_waits');
/** How often the owner may be ahead of what was decided on before the lane is left to the dispatcher. */
const MAX_CONFLICTS = 3;

/**
 * The mutations of one entity in one push, in their order.
 *
 * It plans optimistically: a change is taken to succeed, the next one is decided on what the entity will be
 * then and expects the next revision, so that twenty edits of one note are one request to its owner. Not
 * where the owner compares each revision by itself: when the first of them met a change of the server, its
 * revision is the one that the second expects. `absorb` compares the answers with the plan; where they
 * differ, what was planned on top is void and planned again on what the owner says.
 *
 * ```
 *             ┌──── learn… ◀── need ───┐         what is read for it, for all lanes together
 *             ▼                        │
 *  extend ▶ waiting ── planNext ───────┼──▶ planned ── submissions, absorb ──▶ settled
 *             ▲                        │                  │   │
 *             │                        └──▶ postponed ◀───┘   │       the dispatcher goes on with it
 *             └── conflict, or what stood on another answer ◀─┘
 * ```
 */
export class Lane {
  readonly settlements: Map<Work, Settlement> = new LaneEnds();
  readonly awaitedCurrents: AwaitedCurrent[] = [];
  /** What has to be read before the lane's first mutation can be planned; null: nothing. */
  need: LaneNeed | null = null;
  readonly #context: LaneContext;
  readonly #waiting: Work[] = [];
  #plan = new Plan();
  /** Where the entity stands before anything of the plan. */
  #standing: Standing;
  /**
   * The last planned standing that came about otherwise (counted, or with values of its owner's), and what
   * it is.
   */
  #reached: { readonly planned: Standing; readonly actual: Standing } | null = null;
  readonly #device: DeviceChanges;
  #conflicts = 0;
  /** The standing for which it has been asked what was deleted. */
  #asked: Standing | null = null;
  #stopped = false;

  /** @param head the entity as the read model has it */
  constructor(head: EntityHead | null, context: LaneContext) {
    this.#context = context;
    this.#standing = standingOfHead(head);
    this.#device = new DeviceChanges(context.deviceId, head?.clock ?? {});
  }

  /** Appends the lane's mutations of the next wave. */
  extend(works: readonly Work[]): void {
    this.#waiting.push(...works);
    if (this.#stopped) this.postpone(LANE_WAITS);
  }

  get done(): boolean {
    return this.#waiting.length === 0;
  }

  /** The next mutation to be settled. */
  get first(): Work | undefined {
    return this.#waiting[0];
  }

  get submissions(): Submission[] {
    return this.#plan.submissions;
  }

  /**
   * Plans one mutation more.
   * @returns false when the plan goes no further before something is read or sent
   */
  planNext(): boolean {
    const { length } = this.#plan.steps;
    bringForward(this.#waiting, length, ownCount(this.#planned().clock, this.#context.deviceId));
    const work = this.#waiting[length];
    const next = work && this.#nextFor(work);
    if (next && 'work' in next) this.#plan.add(next);
    // What is planned is carried out first; of the mutation that is first then it matters why the plan stops.
    else if (next && length === 0) this.#stopAt(next);
    return this.#plan.steps.length > length;
  }

  /** Continues after the read model has caught up. */
  learnHead(head: EntityHead): void {
    const alive = !this.#standing.deleted && this.#standing.revision === head.revision;
    const { first } = this;
    this.need = null;
    this.#standing = standingOfHead(head);
    if (!first || !head.deleted || !alive) return;
    this.#waiting.shift();
    this.settlements.set(first, endOfHidden(first, this.#standing, this.#context));
  }

  /** Continues after what the ledger knows has been read. */
  learnKnown(known: KnownEntity): void {
    const { head, told } = known;
    this.#device.learnKnown(known);
    this.need = null;
    if (head && head.revision > this.#standing.revision) this.#standing = standingOfHead(head);
    if (told && told.revision > this.#standing.revision)
      this.#standing = standingOfOwner({ ...told, data: null }, this.#standing.seen);
  }

  /**
   * Continues after the delta-projector has said what was deleted.
   * @param data null: nobody knows it any more
   */
  learnDeleted(data: JsonObject | null): void {
    this.need = null;
    this.#standing = standingWithDeleted(this.#standing, data);
    this.#asked = this.#standing;
  }

  /**
   * Nothing more can be done for the lane now. @param asked what its owner was sent: it may have got all of
   * it, or nothing
   */
  postpone(first: Postponed, asked: readonly Submission[] = []): void {
    this.#stopped = true;
    const sent = new Set(asked.map(({ work }) => this.#device.asItCame(work)));
    this.#waiting.forEach((work, index) => {
      const held = work.hold?.kind === 'postponed' ? work.hold : null;
      const { reason, mayBeSent } = held ?? (index === 0 ? first : LANE_WAITS);
      this.settlements.set(
        work,
        postponed(reason, mayBeSent || work.mayBeSent || (first.mayBeSent && sent.has(work))),
      );
    });
    this.#waiting.length = 0;
    this.#plan = new Plan();
    this.need = null;
  }

  /**
   * Compares the owner's answers with the plan.
   * @param results by mutationId; what is missing was not answered
   * @param unanswered what to make of a missing answer
   */
  absorb(results: ReadonlyMap<string, OwnerPushResult>, unanswered: Postponed): void {
    const { steps, submissions } = this.#plan;
    this.#plan = new Plan();
    let planHolds = true;
    let isExplained = false;
    let conflict: { readonly submission: Submission; readonly result: Ahead } | null = null;
    for (const step of steps) {
      if ('end' in step) {
        if (planHolds) this.#settle(step.work, step.end());
        continue;
      }
      const result = results.get(step.work.mutation.mutationId);
      if (!result) {
        if (this.first === this.#device.asItCame(step.work)) this.postpone(unanswered, submissions);
        break;
      }
      if (result.status === 'conflict') {
        this.#device.noteUnknown(step.work);
        conflict ??= { submission: step, result };
        planHolds = false;
        continue;
      }
      const holds = this.#settleAnswered(step, result);
      isExplained ||= !holds;
      planHolds &&= holds;
    }
    if (conflict) this.#learnConflict(conflict.submission, conflict.result, isExplained);
  }

  /** @returns the plan's next step, or why there is none; undefined: what is planned is sent first */
  #nextFor(work: Work): Submission | PlannedEnd | LaneNeed | Postponed | undefined {
    const chains = work.registration.pushChains && !this.#context.apart;
    if (!chains && this.#plan.lastChange) return undefined;
    // What is only asked for may have been applied, whatever became of what it depends on.
    const gated = work.hold ?? (work.refuse ? null : this.#context.gate(work));
    if (gated) return gated.kind === 'postponed' ? gated : { work, end: () => gated };
    const before = this.#planned();
    if (work.refuse) {
      // Beside replicas of its owner that know `refuse` there may be older ones, which compare revisions.
      if (this.#device.isUnknown(work)) return postponed('contended', true);
      // Its owner answers from its inbox alone, so nothing has to be read for it.
      const change = lookUp({ ...this.#inputOf(work), current: bareState(before) });
      return submissionOf(work, change, before, this.#context.deviceId);
    }
    const counted = this.#counted(work);
    if (counted === 'orphan') {
      const end = endOfOrphan(work, before, this.#context);
      return { work, end: () => end };
    }
    if (!('mutation' in counted)) return counted;
    const decision = this.#decide(counted);
    if ('what' in decision) return decision;
    if (decision.kind === 'submit') return submissionOf(counted, decision, before, this.#context.deviceId);
    return { work: counted, end: () => endOf(counted, decision, before, this.#context) };
  }

  /** Where the entity stands after all that is planned. */
  #planned(): Standing {
    return this.#plan.lastChange?.after ?? this.#standing;
  }

  #inputOf({ registration, mutation }: Work): Omit<DecisionInput, 'current'> {
    const { deviceId, serverNowMs } = this.#context;
    return {
      mutation: inputOf(mutation, deviceId),
      policy: registration.policy,
      review: registration.review ?? 'none',
      serverNowMs,
    };
  }

  /** The work with its device's own entry; see `DeviceChanges`. */
  #counted(work: Work): ReturnType<DeviceChanges['counted']> {
    if (POLICIES[work.registration.policy].isWrittenOnce) return work;
    const { highestCounter, lastChange, numbers: plannedNumbers } = this.#plan;
    const lastPlanned = lastChange?.work ?? null;
    const place = { standing: this.#planned(), highestCounter, lastPlanned, plannedNumbers };
    return this.#device.counted(work, place, this.#context.serverNowMs);
  }

  #decide(work: Work): Decision | LaneNeed {
    const standing = this.#planned();
    const { revision } = standing;
    const input = this.#inputOf(work);
    if (POLICIES[input.policy].isWrittenOnce) return decide({ ...input, current: null });
    if (revision > 0 && standing.clock === null) return { what: 'head', revision };
    const seen = believed(input.mutation, standing.clock ?? {});
    if (detectConflict(standing.clock, seen.baseClock) === 'clean') {
      // Clean means as sent, whatever the data: the state need not be built.
      return decide({ ...input, current: bareState(standing) });
    }
    const came = this.#device.asItCame(work);
    if (this.#device.mayBeRepeated(came, standing))
      return decide({ ...this.#inputOf(came), mayBeApplied: true, current: bareState(standing) });
    // It claims more than is known here: its device may have seen what is not projected yet.
    if (seen !== input.mutation && !this.#device.isUnknown(came))
      return lookUp({ ...input, current: bareState(standing) });
    const current = standing.state();
    if (current === undefined) return { what: 'head', revision };
    const isUnasked = current?.deletedData === null && this.#asked !== standing;
    if (isUnasked && wantsDeletedData({ ...input, current })) return { what: 'deleted', revision };
    return decide({ ...input, current });
  }

  #stopAt(why: LaneNeed | Postponed): void {
    if ('what' in why) this.need = why;
    else this.postpone(why);
  }

  /** @returns whether the plan's assumptions still hold after it */
  #settleAnswered(submission: Submission, result: Exclude<OwnerPushResult, Ahead>): boolean {
    const { work, change } = submission;
    const reached = this.#reached?.planned === submission.before ? this.#reached.actual : null;
    const made = reached ? submissionOf(work, change, reached, this.#context.deviceId) : submission;
    const read = readAnswer(made, result, this.#context);
    const { settled, standing, awaited } = read;
    if (settled.clock && !isLookedUp(made)) this.#device.noteMade(work, settled.clock);
    if (read.reached !== submission.after)
      this.#reached = { planned: submission.after, actual: read.reached };
    if (standing) this.#standing = standing;
    this.#settle(work, settled);
    if (awaited) this.awaitedCurrents.push({ work: this.#device.asItCame(work), ...awaited });
    return read.planHolds;
  }

  /** @param isExplained what the lane sent before it has already come to something else than planned */
  #learnConflict(submission: Submission, result: Ahead, isExplained: boolean): void {
    const { work, before } = submission;
    if (POLICIES[work.registration.policy].isWrittenOnce) {
      const input = this.#inputOf(work);
      this.#settle(work, endOfTakenId({ work, before, input }, result.current, this.#context));
      return;
    }
    const lookedUp = isLookedUp(submission);
    if (!isExplained && !lookedUp) this.#conflicts += 1;
    if (this.#conflicts > MAX_CONFLICTS) this.postpone(postponed('contended'));
    else if (!lookedUp || result.current.revision !== this.#standing.revision)
      this.#standing = standingAhead(work, result.current, before.seen);
  }

  #settle(work: Work, settled: Settled): void {
    const came = this.#device.asItCame(work);
    const at = this.#waiting.indexOf(came);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.settlements.set(came, settled);
    this.#device.noteEnded(work);
  }
}
