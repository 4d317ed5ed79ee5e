import {
  type Decision,
  type DecisionInput,
  decide,
  detectConflict,
  type JsonObject,
  mayHold,
  POLICIES,
  wantsDeletedData,
} from '@sync/domain';
import type { OwnerPushResult } from '@sync/protocol';
import { containsDot, counterOf, deviceReplica, type VectorClock } from '@sync/vector-clock';
import type { EntityHead, KnownEntity } from '../outcome/entity-head.ts';
import {
  type AwaitedCurrent,
  type Postponed,
  postponed,
  type Settled,
  type Settlement,
  type Work,
} from '../outcome/settlement.ts';
import { refusedConflict } from './conflict-of.ts';
import { bringForward, isPatient } from './earlier-changes.ts';
import { LaneEnds } from './lane-ends.ts';
import type { LaneNeed } from './lane-need.ts';
import { inputOf } from './mutation-input.ts';
import { ownCount, withOwnEntry } from './own-entry.ts';
import { type Ahead, endOf, endOfOrphan, endOfTakenId, readAnswer, type Scene } from './read-answer.ts';
import {
  bareState,
  currentText,
  type Standing,
  standingOfHead,
  standingAhead,
  standingOfOwner,
  standingWithDeleted,
} from './standing.ts';
import { isLookedUp, type Submission, submissionOf } from './submission.ts';

/** What is planned for the lane's next mutations: a change to send, or an end that holds if all changes before it were taken. */
type Step = { readonly submission: Submission } | { readonly work: Work; readonly end: () => Settled };

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
 * then and expects the next revision, so that twenty edits of one note are one request to its owner. Not where
 * the owner compares each revision by itself: when the first of them met a change of the server, its revision
 * is the one that the second expects. `absorb` compares the answers with the plan; where they differ, what was
 * planned on top is void and planned again on what the owner says.
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
  #steps: Step[] = [];
  #standing: Standing;
  /** The last planned standing that came about with a clock of the owner's own making, and what it is with that clock. */
  #reached: { readonly planned: Standing; readonly actual: Standing } | null = null;
  /** Of the entity before anything of this run was sent. */
  readonly #knownClock: VectorClock;
  #conflicts = 0;
  /** By mutationId, what the owner has answered `conflict`: its inbox does not know it. Of the lane's other mutations that says nothing. */
  readonly #unknown = new Set<string>();
  /** Works that went on with another own entry than they came with. */
  readonly #cameAs = new Map<Work, Work>();
  /** What the ledger knows beyond the read model; null while it has not been asked. */
  #known: KnownEntity | null = null;
  /** The device's entry of the entity after the last change that was made in this run. */
  #ownEntry = 0;
  /** The highest counter of a mutation that ended in this run. */
  #answered = 0;
  /** A mutation of this run has shown that the device has forgotten changes of its own. */
  #forgets = false;
  /** The standing for which it has been asked what was deleted. */
  #asked: Standing | null = null;
  #stopped = false;

  /** @param head the entity as the read model has it */
  constructor(head: EntityHead | null, context: LaneContext) {
    this.#context = context;
    this.#standing = standingOfHead(head);
    this.#knownClock = head?.clock ?? {};
  }

  /** Appends the lane's mutations of the next wave. */
  extend(works: readonly Work[]): void {
    this.#waiting.push(...works);
    if (this.#stopped) this.postpone(postponed('lane_waits'));
  }

  get done(): boolean {
    return this.#waiting.length === 0;
  }

  /** The next mutation to be settled. */
  get first(): Work | undefined {
    return this.#waiting[0];
  }

  get submissions(): Submission[] {
    return this.#steps.flatMap((step) => ('submission' in step ? [step.submission] : []));
  }

  /** Plans one mutation more. @returns false when the plan goes no further before something is read or sent */
  planNext(): boolean {
    bringForward(this.#waiting, this.#steps.length, ownCount(this.#planned().clock, this.#context.deviceId));
    const work = this.#next();
    if (!work) return false;
    const chains = work.registration.pushChains && !this.#context.apart;
    if (!chains && this.submissions.length > 0) return false;
    const gated = work.hold ?? this.#context.gate(work);
    if (gated) return gated.kind === 'postponed' ? this.#stopAt(gated) : this.#endWith(work, () => gated);
    const made = this.#withOwnEntry(work);
    if ('end' in made) return this.#endWith(work, () => made.end);
    if (!('work' in made)) return this.#stopAt(made);
    const decision = this.#decide(made.work);
    return 'what' in decision ? this.#stopAt(decision) : this.#take(made.work, decision);
  }

  /** The read model has caught up. @param ownerDeleted what the owner said of the entity */
  learnHead(head: EntityHead): void {
    const alive = !this.#standing.deleted && this.#standing.revision === head.revision;
    this.need = null;
    const { first } = this;
    if (!first) return;
    if (head.deleted && alive) {
      // It lives on, but not in this scope any more: the device was told of its deletion here and has no say in it now.
      const message = `/scope: ${first.mutation.scope} does not have the entity any more`;
      this.settleFirst({ code: 'forbidden', message }, head);
    }
    this.#standing = standingOfHead(head);
  }

  /** Continues after what the ledger knows has been read. */
  learnKnown(known: KnownEntity): void {
    const { head, told } = known;
    this.#known = known;
    this.need = null;
    if (head && head.revision > this.#standing.revision) this.#standing = standingOfHead(head);
    if (told && told.revision > this.#standing.revision)
      this.#standing = standingOfOwner({ ...told, data: null }, this.#standing.seen);
  }

  /** Continues after the delta-projector has said what was deleted. @param data null: nobody knows it any more */
  learnDeleted(data: JsonObject | null): void {
    this.need = null;
    this.#standing = standingWithDeleted(this.#standing, data);
    this.#asked = this.#standing;
  }

  /** Ends the first mutation without asking the owner again. */
  settleFirst(refusal: { readonly code: string; readonly message: string }, head: EntityHead | null): void {
    const work = this.#waiting.shift();
    if (!work) return;
    const standing = standingOfHead(head);
    const current = currentText(standing, work.registration, work.mutation, this.#context.nowIso);
    const lost = refusedConflict(work, this.#context.deviceId, standing.state() ?? null);
    this.settlements.set(work, { kind: 'settled', status: 'rejected', ...refusal, current, ...lost });
  }

  /** Nothing more can be done for the lane now. @param asked what its owner was sent: it may have got all of it, or nothing */
  postpone(first: Postponed, asked: readonly Submission[] = []): void {
    this.#stopped = true;
    const sent = new Set(first.mayBeSent ? asked.map(({ work }) => this.#asItCame(work)) : []);
    this.#waiting.forEach((work, index) => {
      const held = work.hold?.kind === 'postponed' ? work.hold : null;
      const { reason, mayBeSent } = held ?? (index === 0 ? first : LANE_WAITS);
      this.settlements.set(work, postponed(reason, mayBeSent || work.mayBeSent || sent.has(work)));
    });
    this.#waiting.length = 0;
    this.#steps = [];
    this.need = null;
  }

  /**
   * Compares the owner's answers with the plan.
   * @param results by mutationId; what is missing was not answered
   * @param unanswered what to make of a missing answer
   */
  absorb(results: ReadonlyMap<string, OwnerPushResult>, unanswered: Postponed): void {
    const steps = this.#steps;
    const { submissions } = this;
    this.#steps = [];
    let asPlanned = true;
    let explained = false;
    let conflict: { readonly submission: Submission; readonly result: Ahead } | null = null;
    for (const step of steps) {
      if (!('submission' in step)) {
        if (asPlanned) this.#settle(step.work, step.end());
        continue;
      }
      const { submission } = step;
      const result = results.get(submission.work.mutation.mutationId);
      if (!result) {
        if (this.first === this.#asItCame(submission.work)) this.postpone(unanswered, submissions);
        break;
      }
      if (result.status === 'conflict') {
        this.#unknown.add(submission.work.mutation.mutationId);
        conflict ??= { submission, result };
        asPlanned = false;
        continue;
      }
      const ordinary = this.#settleAnswered(submission, result);
      if (!ordinary) explained = true;
      asPlanned &&= ordinary;
    }
    if (conflict) this.#learnConflict(conflict.submission, conflict.result, explained);
  }

  #next(): Work | undefined {
    return this.#waiting[this.#steps.length];
  }

  #planned(): Standing {
    const last = this.#steps.findLast((step) => 'submission' in step);
    return last && 'submission' in last ? last.submission.after : this.#standing;
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

  /**
   * Whether the mutation may be in the entity already, so that its owner has to be asked first: it was perhaps sent; or it is new to the ledger, which
   * forgets in time, but the entity has as many changes of the device, which sends it again long after its answer was lost.
   */
  #mayBeRepeated({ mutation, mayBeSent }: Work, standing: Standing): boolean {
    if (this.#unknown.has(mutation.mutationId)) return false;
    const { deviceId } = this.#context;
    const { baseClock } = mutation;
    if (!mayHold(standing.clock ?? {}, { baseClock, deviceId })) return false;
    const replica = deviceReplica(deviceId);
    return mayBeSent || containsDot(this.#knownClock, replica, counterOf(baseClock, replica) + 1);
  }

  /** @returns what to decide about, or its end; or what to read or to wait for before */
  #withOwnEntry(work: Work): { readonly work: Work } | { readonly end: Settled } | LaneNeed | Postponed {
    const standing = this.#planned();
    if (POLICIES[work.registration.policy].isWrittenOnce) return { work };
    if (standing.clock === null && standing.revision > 0) return { work };
    if (work.mayBeSent && this.#mayBeRepeated(work, standing)) return { work };
    const { deviceId, serverNowMs } = this.#context;
    const stands = ownCount(standing.clock, deviceId);
    const mutation = withOwnEntry(work.mutation, deviceId, {
      stands,
      answered: this.#answeredUpTo(work.mutation.counter - 1),
      isRecent: stands === this.#lastOwnEntry() && !this.#forgets,
      forgotten: this.#forgets || (this.#known?.restored ?? null),
    });
    if (mutation === 'ask') return { what: 'ledger' };
    if (mutation === 'missing') {
      if (work.mayBeSent) return { work };
      if (isPatient(work, serverNowMs)) return postponed('earlier_missing');
      return standing.revision > 0 || work.mutation.op === 'put'
        ? { work }
        : { end: endOfOrphan(work, standing, this.#context) };
    }
    if (mutation === work.mutation) return { work };
    this.#forgets ||= counterOf(mutation.baseClock, deviceReplica(deviceId)) < stands;
    const made = { ...work, mutation };
    this.#cameAs.set(made, work);
    return { work: made };
  }

  /** How many of the device's changes have answers; null when more are counted and the ledger may know them. */
  #answeredUpTo(counted: number): number | null {
    const planned = this.#steps.map(
      (step) => ('submission' in step ? step.submission : step).work.mutation.counter,
    );
    const here = Math.max(this.#answered, ...planned);
    return this.#known ? Math.max(here, this.#known.counted) : counted > here ? null : here;
  }

  /** The own entry after the last change of this run, made or planned. */
  #lastOwnEntry(): number {
    const last = this.#steps.findLast((step) => 'submission' in step);
    return last && 'submission' in last ? last.submission.work.mutation.counter : this.#ownEntry;
  }

  #asItCame(work: Work): Work {
    return this.#cameAs.get(work) ?? work;
  }

  #decide(work: Work): Decision | LaneNeed {
    const standing = this.#planned();
    const { revision } = standing;
    const input = this.#inputOf(work);
    if (POLICIES[input.policy].isWrittenOnce) return decide({ ...input, current: null });
    if (revision > 0 && standing.clock === null) return { what: 'head', revision };
    if (detectConflict(standing.clock, input.mutation.baseClock) === 'clean') {
      // Clean means as sent, whatever the data: the state need not be built.
      return decide({ ...input, current: bareState(standing) });
    }
    const came = this.#asItCame(work);
    if (this.#mayBeRepeated(came, standing))
      return decide({ ...this.#inputOf(came), mayBeApplied: true, current: bareState(standing) });
    const current = standing.state();
    if (current === undefined) return { what: 'head', revision };
    const isUnasked = current?.deletedData === null && this.#asked !== standing;
    if (isUnasked && wantsDeletedData({ ...input, current })) return { what: 'deleted', revision };
    return decide({ ...input, current });
  }

  #take(work: Work, decision: Decision): true {
    const before = this.#planned();
    if (decision.kind !== 'submit')
      return this.#endWith(work, () => endOf(work, decision, before, this.#context));
    this.#steps.push({ submission: submissionOf(work, decision, before, this.#context.deviceId) });
    return true;
  }

  #endWith(work: Work, end: () => Settled): true {
    this.#steps.push({ work, end });
    return true;
  }

  /** What is planned is carried out first; of the mutation that is first then it matters why the plan stops. */
  #stopAt(why: LaneNeed | Postponed): false {
    if (this.#steps.length > 0) return false;
    if ('what' in why) this.need = why;
    else this.postpone(why);
    return false;
  }

  /** @returns whether the plan's assumptions still hold after it */
  #settleAnswered(submission: Submission, result: Exclude<OwnerPushResult, Ahead>): boolean {
    const { work, change } = submission;
    const reached = this.#reached?.planned === submission.before ? this.#reached.actual : null;
    const made = reached ? submissionOf(work, change, reached, this.#context.deviceId) : submission;
    const read = readAnswer(made, result, this.#context);
    const { settled, standing, awaited } = read;
    if (settled.clock && !isLookedUp(made))
      this.#ownEntry = counterOf(settled.clock, deviceReplica(this.#context.deviceId));
    const actual = read.actual ?? made.after;
    if (actual !== submission.after) this.#reached = { planned: submission.after, actual };
    if (standing) this.#standing = standing;
    this.#settle(work, settled);
    if (awaited) this.awaitedCurrents.push({ work: this.#asItCame(work), ...awaited });
    return read.holds;
  }

  #learnConflict(submission: Submission, result: Ahead, explained: boolean): void {
    const { work, before } = submission;
    if (POLICIES[work.registration.policy].isWrittenOnce) {
      const input = this.#inputOf(work);
      this.#settle(work, endOfTakenId({ work, before, input }, result.current, this.#context));
      return;
    }
    const lookedUp = isLookedUp(submission);
    if (!explained && !lookedUp) this.#conflicts += 1;
    if (this.#conflicts > MAX_CONFLICTS) this.postpone(postponed('contended'));
    else if (!lookedUp || result.current.revision !== this.#standing.revision)
      this.#standing = standingAhead(work, result.current, before.seen);
  }

  #settle(work: Work, settled: Settled): void {
    const came = this.#asItCame(work);
    const at = this.#waiting.indexOf(came);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.settlements.set(came, settled);
    this.#answered = Math.max(this.#answered, work.mutation.counter);
  }
}
