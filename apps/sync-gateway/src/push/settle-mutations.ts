import { planLanes, POLICIES } from '@sync/domain';
import { faultPoint } from '@sync/messaging';
import { absentText, stateOfHead } from '../read-model/entity-head.ts';
import { PROJECTION_WAIT_MS, type ReadHeads } from '../read-model/read-heads.ts';
import { lostContent, refusedConflict } from './decide/conflict-of.ts';
import type { DecideLanes } from './decide/decide-lanes.ts';
import { isPatient } from './decide/earlier-changes.ts';
import { Lane, type LaneContext } from './decide/lane.ts';
import type { KeepDecisions } from './ledger/keep-decisions.ts';
import { checkCurrents, type Shown, toldIn } from './outcome/check-currents.ts';
import {
  type Author,
  type Postponed,
  postponed,
  refused,
  type Settled,
  type Settlement,
  type Work,
} from './outcome/settlement.ts';
import { type Failing, givenUp, isHopeless } from './owners/give-up.ts';
import type { LiftMutations } from './owners/lift-mutations.ts';
import type { Sent, SendLimits, SendToOwner } from './owners/send-to-owner.ts';
import type { PushMetrics } from './push-metrics.ts';

/** How far one run may go; after its deadline somebody else may take the work over soon. */
export interface SettleLimits extends SendLimits {
  /**
   * One request per mutation instead of one per entity type: one that breaks its owner must not take others
   * with it.
   */
  readonly apart: boolean;
  /**
   * What has been tried in vain, by mutationId, and after how long that is enough; absent: nothing is given
   * up.
   */
  readonly giveUp?: { readonly failing: ReadonlyMap<string, Failing>; readonly afterMs: number };
}

/** The status of mutations that others may depend on: `undefined` is not known here. */
export type StatusOf = (mutationId: string) => Settlement['kind'] | Settled['status'] | undefined;

/**
 * Brings mutations of one device to their end as far as possible now: decides, sends, compares, decides
 * again.
 *
 * Waves (along `dependsOn`) run one after the other, lanes (entities) within a wave side by side; a lane's
 * mutations go in one request. Never throws for what an owner does: what cannot be ended is postponed.
 */
export class SettleMutations {
  readonly #owners: SendToOwner;
  readonly #deciding: DecideLanes;
  readonly #heads: ReadHeads;
  readonly #lifter: LiftMutations;
  readonly #decisions: KeepDecisions;
  readonly #metrics: PushMetrics;

  constructor(
    owners: SendToOwner,
    deciding: DecideLanes,
    heads: ReadHeads,
    lifter: LiftMutations,
    decisions: KeepDecisions,
    metrics: PushMetrics,
  ) {
    this.#owners = owners;
    this.#deciding = deciding;
    this.#heads = heads;
    this.#lifter = lifter;
    this.#decisions = decisions;
    this.#metrics = metrics;
  }

  /**
   * @param works in the order in which the device made them
   * @param statusOf mutations outside `works`
   * @returns one settlement per work
   * @throws the driver's error when the read model cannot be read
   */
  async settle(
    author: Author,
    works: readonly Work[],
    statusOf: StatusOf,
    limits: SettleLimits,
  ): Promise<Map<Work, Settlement>> {
    const lifted = await this.#lifter.lift(author, works, limits);
    const run = new SettleRun(author, lifted, statusOf, limits);
    const plan = planLanes(works.map(({ mutation }) => mutation));
    for (const [index, code] of plan.blocked) run.refuse(index, code);
    for (const wave of plan.waves) {
      await this.#workOff(author, run.lanesOf(wave), limits);
    }
    run.collect();
    this.#giveUp(author, run, limits);
    await this.#showMerged(author, run);
    await this.#showRefusedAppends(author, run);
    await this.#checkEnds(author, run);
    this.#count(run.settlements);
    return lifted === works ? run.settlements : byOriginal(works, lifted, run.settlements);
  }

  #giveUp(author: Author, run: SettleRun, { giveUp }: SettleLimits): void {
    const nowMs = Date.now();
    for (const [work, settlement] of run.settlements) {
      if (settlement.kind !== 'postponed' || settlement.reason !== 'owner_failed') continue;
      const { registration, mutation } = work;
      const failing = giveUp?.failing.get(mutation.mutationId);
      if (!giveUp || !failing) continue;
      const othersAnsweredMs = this.#owners.lastDecidedMs(registration);
      if (!isHopeless(failing, othersAnsweredMs, giveUp.afterMs, nowMs)) continue;
      run.settlements.set(work, givenUp(work, author.deviceId, new Date(nowMs).toISOString()));
      const { service: owner, entityType } = registration;
      this.#metrics.givenUp.inc({ owner, entityType });
    }
  }

  /**
   * Counted where both a push and the dispatcher come by; an outcome that somebody else stored first is
   * counted twice.
   */
  #count(settlements: ReadonlyMap<Work, Settlement>): void {
    for (const [{ registration }, settlement] of settlements) {
      if (settlement.kind === 'postponed') continue;
      const { status, conflict } = settlement;
      if (!conflict && status !== 'merged') continue;
      const decision = conflict ? conflict.draft.decision : 'merged';
      this.#metrics.conflicts.inc({ policy: registration.policy, decision });
    }
  }

  async #workOff(author: Author, lanes: readonly Lane[], limits: SettleLimits): Promise<void> {
    for (let active = lanes; active.length > 0; active = active.filter((lane) => !lane.done)) {
      if (Date.now() > limits.deadlineMs) {
        for (const lane of active) lane.postpone(postponed('out_of_time', lane.first?.mayBeSent));
        return;
      }
      await this.#deciding.execute(author, active);
      await this.#send(author, active, limits);
    }
  }

  async #send(author: Author, lanes: readonly Lane[], limits: SettleLimits): Promise<void> {
    await this.#decisions.keep(
      author,
      lanes.flatMap((lane) => (lane.done ? [] : lane.submissions)),
    );
    faultPoint('push.decided');
    const groups = Map.groupBy(suspectsLast(lanes, limits), (lane) =>
      limits.apart ? lane : (lane.first?.registration.entityType ?? ''),
    );
    await Promise.all(
      [...groups.values()].map(async (group) => {
        const submissions = group.flatMap((lane) => lane.submissions);
        const sent =
          submissions.length === 0 ? NOTHING_SENT : await this.#owners.send(author, submissions, limits);
        for (const lane of group) lane.absorb(sent.results, missingOf(lane, sent));
      }),
    );
  }

  /**
   * What a merge came to is shown as the projection shows it, where only the projection can tell. While that
   * is behind, the merge has to wait: shown as it was before, the entity would lose what its device was just
   * told. Of an update of a document only what was told before it counts: the text is not in what is shown.
   */
  async #showMerged(author: Author, run: SettleRun): Promise<void> {
    if (run.awaited.length === 0) return;
    const heads = await this.#heads.waitFor(author, run.awaited, PROJECTION_WAIT_MS);
    const nowMs = Date.now();
    const late = run.awaited.flatMap(({ work, isElsewhere }) => {
      const settled = run.settlements.get(work);
      if (settled?.kind !== 'settled') return [];
      const head = heads.get(work);
      if (head) run.settlements.set(work, { ...settled, current: head.wire });
      return !head && !isElsewhere && isPatient(work, nowMs) ? [{ work, settled }] : [];
    });
    const settlements = run.inOrder();
    const currents = await this.checkCurrents(
      author,
      late.map(({ work, settled }) => {
        const told = toldIn(settlements, work.mutation, work);
        return { address: work.mutation, current: settled.current ?? '{"clock":{}}', told };
      }),
    );
    late.forEach(({ work, settled }, place) => {
      const current = work.mutation.op === 'merge' ? currents[place] : null;
      run.settlements.set(work, current ? { ...settled, current } : postponed('merge_unshown', true));
    });
  }

  /**
   * What ends without a change shows the entity, and waits while that is older than what a device was told.
   */
  async #checkEnds(author: Author, run: SettleRun): Promise<void> {
    const settlements = run.inOrder();
    const ends = settlements.flatMap(([work, settled]) => {
      if (settled.kind === 'postponed' || !UNCHECKED.has(settled.status)) return [];
      const { current } = settled;
      if (current === undefined) return [];
      const told = toldIn(settlements, work.mutation, work);
      return [{ work, settled, shown: { address: work.mutation, current, told } }];
    });
    const currents = await this.checkCurrents(
      author,
      ends.map(({ shown }) => shown),
    );
    ends.forEach(({ work, settled }, place) => {
      const current = currents[place];
      const end = current ? { ...settled, current } : postponed('projection_behind', work.mayBeSent);
      run.settlements.set(work, end);
    });
  }

  /** @returns what may be shown of entities; null where the read model is behind what a device was told */
  checkCurrents(author: Author, shown: readonly Shown[]): Promise<(string | null)[]> {
    return shown.length === 0 ? Promise.resolve([]) : checkCurrents(this.#heads, author, shown);
  }

  /** Appends are decided without looking at the entity; a refused one has to show it after all. */
  async #showRefusedAppends(author: Author, run: SettleRun): Promise<void> {
    const refusals = [...run.settlements].flatMap(([work, settlement]) => {
      const unseen = POLICIES[work.registration.policy].isWrittenOnce && work.head === null;
      return unseen && settlement.kind === 'settled' && settlement.status === 'rejected'
        ? [{ work, settlement }]
        : [];
    });
    const known = await this.#heads.know(
      author,
      refusals.map(({ work }) => work.mutation),
    );
    refusals.forEach(({ work, settlement }, place) => {
      const { head = null, unread } = known[place] ?? {};
      if (unread) run.settlements.set(work, postponed('too_much_at_once', true));
      if (!head) return;
      const shown = settlement.conflict ? refusedConflict(work, author.deviceId, stateOfHead(head)) : {};
      run.settlements.set(work, { ...settlement, current: head.wire, ...shown });
    });
  }
}

/** Ends that show the entity as it stands without them. */
const UNCHECKED: ReadonlySet<string> = new Set(['rejected', 'superseded', 'conflict']);

const NOTHING_SENT: Sent = {
  results: new Map(),
  asked: new Set(),
  unanswered: postponed('owner_unavailable'),
  unasked: postponed('owner_unavailable'),
};

/** Lanes that are not done; last those that their owner did not answer: they may keep it from the rest. */
function suspectsLast(lanes: readonly Lane[], { together }: SettleLimits): Lane[] {
  const active = lanes.filter((lane) => !lane.done);
  const isSuspect = (lane: Lane): boolean =>
    lane.submissions.some(({ work }) => together?.has(work.mutation.mutationId));
  return [...active.filter((lane) => !isSuspect(lane)), ...active.filter(isSuspect)];
}

/** What to make of the lane's missing answers. */
function missingOf(lane: Lane, { results, asked, unanswered, unasked }: Sent): Postponed {
  const wasAsked = lane.submissions.some(({ work: { mutation } }) => {
    return asked.has(mutation.mutationId) && !results.has(mutation.mutationId);
  });
  return wasAsked ? unanswered : unasked;
}

/** Callers know their works as they gave them. */
function byOriginal(
  works: readonly Work[],
  lifted: readonly Work[],
  settlements: ReadonlyMap<Work, Settlement>,
): Map<Work, Settlement> {
  const pairs = works.flatMap((work, place): [Work, Settlement][] => {
    const settlement = settlements.get(lifted[place] ?? work);
    return settlement ? [[work, settlement]] : [];
  });
  return new Map(pairs);
}

/** NUL occurs in neither part. */
function laneKeyOf({ mutation }: Work): string {
  return `${mutation.entityType}\0${mutation.entityId}`;
}

/** The memory of one `settle`. */
class SettleRun {
  readonly settlements = new Map<Work, Settlement>();
  readonly awaited: Lane['awaitedCurrents'] = [];
  readonly #works: readonly Work[];
  readonly #byId: ReadonlyMap<string, Work>;
  readonly #statusOf: StatusOf;
  readonly #context: LaneContext;
  readonly #lanes = new Map<string, Lane>();

  constructor(author: Author, works: readonly Work[], statusOf: StatusOf, { apart }: SettleLimits) {
    const serverNowMs = Date.now();
    this.#works = works;
    this.#byId = new Map(works.map((work) => [work.mutation.mutationId, work]));
    this.#statusOf = statusOf;
    this.#context = {
      deviceId: author.deviceId,
      serverNowMs,
      nowIso: new Date(serverNowMs).toISOString(),
      apart,
      gate: (work) => this.#gate(work),
    };
  }

  /** The lanes of a wave; a lane that worked in an earlier wave goes on from there. */
  lanesOf(wave: readonly number[]): readonly Lane[] {
    const works = wave.flatMap((index) => this.#works[index] ?? []);
    return [...Map.groupBy(works, laneKeyOf)].map(([key, group]) => {
      const lane = this.#lanes.get(key) ?? new Lane(group[0]?.head ?? null, this.#context);
      this.#lanes.set(key, lane);
      lane.extend(group);
      return lane;
    });
  }

  /** What is settled, in the order of the push: what a plan blocks was settled first. */
  inOrder(): [Work, Settlement][] {
    return this.#works.flatMap((work): [Work, Settlement][] => {
      const settlement = this.settlements.get(work);
      return settlement ? [[work, settlement]] : [];
    });
  }

  collect(): void {
    for (const lane of this.#lanes.values()) {
      for (const [work, settlement] of lane.settlements) this.settlements.set(work, settlement);
      this.awaited.push(...lane.awaitedCurrents);
    }
  }

  /** @param code why the plan has no place for it */
  refuse(index: number, code: 'dependency_cycle' | 'dependency_failed'): void {
    const work = this.#works[index];
    if (work) this.settlements.set(work, this.#failedDependency(work, code));
  }

  /** What has to happen to a work because of others; null when it may go. */
  #gate(work: Work): Settlement | null {
    for (const mutationId of work.mutation.dependsOn) {
      const status = this.#statusIn(mutationId);
      if (status === 'postponed') return postponed('dependency_waits', work.mayBeSent);
      if (status === undefined && isPatient(work, this.#context.serverNowMs))
        return postponed('dependency_unknown', work.mayBeSent);
      if (status === 'rejected' || status === undefined)
        return this.#failedDependency(work, 'dependency_failed');
    }
    return null;
  }

  /** Still open in this run means ahead in the same lane: the plan counts on its success. */
  #statusIn(mutationId: string): ReturnType<StatusOf> {
    const work = this.#byId.get(mutationId);
    if (!work) return this.#statusOf(mutationId);
    const settlement = this.settlements.get(work) ?? this.#lanes.get(laneKeyOf(work))?.settlements.get(work);
    if (!settlement) return 'settled';
    return settlement.kind === 'postponed' ? 'postponed' : settlement.status;
  }

  #failedDependency(work: Work, code: 'dependency_cycle' | 'dependency_failed'): Settled {
    const { mutation, registration, head } = work;
    const current = head?.wire ?? absentText(mutation, registration.schemaVersion, this.#context.nowIso);
    const message =
      code === 'dependency_cycle'
        ? 'dependsOn forms a circle'
        : 'a mutation in dependsOn was rejected or never came';
    const lost = lostContent(work, this.#context.deviceId, head && stateOfHead(head));
    return { ...refused({ code, message }, current), ...lost };
  }
}
