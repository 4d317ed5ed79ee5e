import type { NatsConnection } from '@nats-io/transport-node';
import {
  MalformedReplyError,
  MessageTooLargeError,
  NoRespondersError,
  RemoteError,
  RequestTimeoutError,
  wasUntouched,
} from '@sync/messaging';
import { LIMITS, type OwnerPushResult, type PushedMutation, type RegisteredEntityType } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { Submission } from '../decide/submission.ts';
import { type Author, type Postponed, postponed } from '../outcome/settlement.ts';
import type { PushMetrics } from '../push-metrics.ts';
import { AskOwner, MAX_REQUEST_BYTES } from './ask-owner.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { OwnerGate } from './owner-gate.ts';
import { growBatch, shrinkBatch } from './owner-pace.ts';

/** What came of sending: answers by mutationId, and what to make of those that are missing. */
export interface Sent {
  readonly results: ReadonlyMap<string, OwnerPushResult>;
  /** The mutations that the owner was asked about. */
  readonly asked: ReadonlySet<string>;
  /** Of those that were asked about and have no answer. */
  readonly unanswered: Postponed;
  /** Of those that were not sent any more. */
  readonly unasked: Postponed;
}

/** How far one call of `send` may go. */
export interface SendLimits {
  /** Epoch milliseconds after which nothing new is sent. */
  readonly deadlineMs: number;
  /**
   * Nobody waits for the answer: a slow owner is given as long as it may need, which is less work for it than
   * being asked again.
   */
  readonly patient: boolean;
  /** With how many others a mutation may go at most, by mutationId; absent: with as many as fit. */
  readonly together?: ReadonlyMap<string, number>;
}

/** What came of one request. */
interface PartSent {
  readonly results: ReadonlyMap<string, OwnerPushResult>;
  readonly unanswered: Postponed;
}

/** One owning service, as this process knows it. */
interface OwnerLine {
  readonly breaker: CircuitBreaker;
  readonly gate: OwnerGate;
  /** By entity type: mutations a request. */
  readonly batches: Map<string, number>;
}

/** About 32 KiB. */
const MAX_FIELD_WRITES = 300;
const BREAKER = { failures: 5, openMs: 2_000 };
/**
 * How long a request is waited for in the background, in time-outs of a push; a dispatcher's run has to end
 * before its devices are taken by another one.
 */
const PATIENCE = 4;
const MAX_PATIENCE_MS = 12_000;

/**
 * Sends changes to the push handlers of owning services over NATS.
 *
 * An owner that is slow is not asked more often for it: what it has not answered yet counts as in hand,
 * whether its sender still waits or not, and how much that may be follows its answers ({@link OwnerGate}).
 */
export class SendToOwner {
  readonly #owners: AskOwner;
  readonly #logger: Logger;
  readonly #metrics: PushMetrics;
  readonly #timeoutMs: number;
  /** By service; bounded by the number of registered ones. */
  readonly #lines = new Map<string, OwnerLine>();
  /** By service and entity type: epoch milliseconds of the last decision. */
  readonly #decided = new Map<string, number>();

  /** @param timeoutMs how long a push waits for an answer */
  constructor(nats: NatsConnection, logger: Logger, metrics: PushMetrics, timeoutMs: number) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#timeoutMs = timeoutMs;
    this.#owners = new AskOwner(nats, Math.max(timeoutMs, Math.min(PATIENCE * timeoutMs, MAX_PATIENCE_MS)));
  }

  /**
   * Sends changes of one entity type, in their order; never throws. A batch that is too large for one message
   * goes in several, one after the other: the order of a lane must hold.
   * @param submissions of one registration; not empty
   */
  async send(author: Author, submissions: readonly Submission[], limits: SendLimits): Promise<Sent> {
    const results = new Map<string, OwnerPushResult>();
    const asked = new Set<string>();
    let unanswered = postponed('owner_unanswered', true);
    let unasked = postponed('owner_busy');
    let left = submissions;
    while (left.length > 0) {
      // Cut one by one: the answer to one part may say how large the next one should be.
      const part = firstPart(left, this.#batchOf(left), limits.together);
      left = left.slice(part.length);
      const sent = await this.#sendPart(author, part, limits);
      if ('kind' in sent) {
        unasked = sent;
        break;
      }
      for (const { work } of part) asked.add(work.mutation.mutationId);
      for (const [mutationId, result] of sent.results) results.set(mutationId, result);
      left = withoutBroken(left, part, sent.results);
      if (sent.results.size < part.length) {
        ({ unanswered } = sent);
        if (unanswered.reason === 'owner_unavailable') unasked = postponed('owner_unavailable');
        break;
      }
    }
    return { results, asked, unanswered, unasked };
  }

  /** @returns why it was not sent, or what came of it */
  async #sendPart(
    author: Author,
    part: readonly Submission[],
    { deadlineMs, patient }: SendLimits,
  ): Promise<PartSent | Postponed> {
    const registration = part[0]?.work.registration;
    if (!registration) return postponed('owner_unavailable');
    const { breaker, gate } = this.#lineOf(registration.service);
    const nowMs = Date.now();
    if (nowMs > deadlineMs) return postponed('out_of_time');
    if (breaker.refuses(nowMs)) return postponed('owner_unavailable');
    if (!patient && gate.isStuck) return postponed('owner_busy');
    const untilMs = patient ? deadlineMs : Math.min(deadlineMs, nowMs + this.#timeoutMs);
    if (!(await gate.enter(untilMs))) return postponed('owner_busy');
    if (!breaker.allow(Date.now())) {
      gate.leave(0, 'none', false);
      return postponed('owner_unavailable');
    }
    const call = { sentAtMs: Date.now(), wasLate: false };
    const answer = this.#ask(author, part, call, !patient);
    const waited = patient ? await answer : await within(answer, this.#timeoutMs);
    if (waited) return waited;
    call.wasLate = true;
    gate.late(call.sentAtMs);
    breaker.fail(Date.now());
    return { results: NO_RESULTS, unanswered: postponed('owner_silent', true) };
  }

  /** Asks, and learns of the answer whoever still waits for it; never throws. */
  async #ask(
    author: Author,
    part: readonly Submission[],
    call: { readonly sentAtMs: number; readonly wasLate: boolean },
    mayShare: boolean,
  ): Promise<PartSent> {
    const { registration } = (part[0] as Submission).work;
    const { service, entityType } = registration;
    const { breaker, gate, batches } = this.#lineOf(service);
    let speed: 'in time' | 'late' | 'none' = 'none';
    try {
      const { results: answers, wasShared } = await this.#owners.ask({
        tenantId: author.tenantId,
        registration,
        mutations: part.map((submission) => pushedOf(author, submission)),
        bytes: part.reduce((sum, submission) => sum + roughBytes(submission), 0),
        batchLimit: this.#batchOf(part),
        mayShare,
      });
      breaker.succeed();
      speed = Date.now() - call.sentAtMs <= this.#timeoutMs ? 'in time' : 'late';
      batches.set(entityType, growBatch(this.#batchOf(part), part.length, speed === 'in time'));
      this.#report(service, 'answered', call.sentAtMs);
      const results = answersTo(part, answers);
      if ([...results.values()].some(({ status }) => status !== 'conflict'))
        this.#decided.set(typeKey(registration), Date.now());
      // A reply that is cut to its size has at least the first answer.
      const failed = part.length === 1 && !wasShared && results.size === 0;
      return { results, unanswered: postponed(failed ? 'owner_failed' : 'owner_unanswered', true) };
    } catch (error) {
      if (answered(error)) breaker.succeed();
      else if (!call.wasLate) breaker.fail(Date.now());
      if (tooMuch(error)) {
        speed = 'late';
        batches.set(entityType, shrinkBatch(this.#batchOf(part), part.length));
      }
      this.#report(service, 'failed', call.sentAtMs);
      this.#logger.warn(
        { err: error, owner: service, entityType, mutations: part.length },
        'an owning service did not answer a push',
      );
      return { results: NO_RESULTS, unanswered: unansweredBecause(error, part.length === 1) };
    } finally {
      gate.leave(call.sentAtMs, speed, call.wasLate);
    }
  }

  /**
   * When the owner last applied or refused a mutation of the type, as far as this process knows; epoch
   * milliseconds, 0: never.
   */
  lastDecidedMs(registration: RegisteredEntityType): number {
    return this.#decided.get(typeKey(registration)) ?? 0;
  }

  #report(service: string, result: 'answered' | 'failed', sentAtMs: number): void {
    const { breaker, gate } = this.#lineOf(service);
    this.#metrics.ownerSeconds.observe({ owner: service, result }, (Date.now() - sentAtMs) / 1000);
    this.#metrics.ownerOpen.set({ owner: service }, breaker.isOpen ? 1 : 0);
    this.#metrics.ownerLimit.set({ owner: service }, gate.limit);
  }

  #lineOf(service: string): OwnerLine {
    const known = this.#lines.get(service);
    if (known) return known;
    const line = { breaker: new CircuitBreaker(BREAKER), gate: new OwnerGate(), batches: new Map() };
    this.#lines.set(service, line);
    return line;
  }

  #batchOf([first]: readonly Submission[]): number {
    if (!first) return 0;
    const { service, entityType } = first.work.registration;
    return this.#lineOf(service).batches.get(entityType) ?? LIMITS.mutationsPerPush;
  }
}

/** Of a request that was shared, the answers to one push. */
function answersTo(
  part: readonly Submission[],
  answers: ReadonlyMap<string, OwnerPushResult>,
): ReadonlyMap<string, OwnerPushResult> {
  return new Map(
    part.flatMap(({ work: { mutation } }): [string, OwnerPushResult][] => {
      const answer = answers.get(mutation.mutationId);
      return answer ? [[mutation.mutationId, answer]] : [];
    }),
  );
}

const NO_RESULTS: ReadonlyMap<string, OwnerPushResult> = new Map();

/** @returns null when it took longer than that */
async function within<T>(promise: Promise<T>, limitMs: number): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, limitMs, null);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The owner was given more than it can do now. */
function tooMuch(error: unknown): boolean {
  if (error instanceof RemoteError) return error.code === 'overloaded';
  return error instanceof RequestTimeoutError;
}

/** The owner is there, or was not asked: refusing one batch says nothing about the next. */
function answered(error: unknown): boolean {
  if (error instanceof MessageTooLargeError) return true;
  return error instanceof RemoteError && error.code !== 'unavailable' && error.code !== 'overloaded';
}

/**
 * An owner that is away, silent, or says that it cannot now, has not failed; one that answers with an error,
 * or with something that is no answer, has. Which of several mutations it failed at shows when each is sent
 * alone.
 */
function unansweredBecause(error: unknown, alone: boolean): Postponed {
  const mayBeSent = !wasUntouched(error);
  const isAway = (error instanceof RemoteError || error instanceof NoRespondersError) && !answered(error);
  if (isAway) return postponed('owner_unavailable', mayBeSent);
  const hasAnswered = answered(error) || error instanceof MalformedReplyError;
  if (!hasAnswered) return postponed('owner_silent', mayBeSent);
  return postponed(alone ? 'owner_failed' : 'owner_unanswered', mayBeSent);
}

/** NUL occurs in neither part. */
function typeKey({ service, entityType }: RegisteredEntityType): string {
  return `${service}\0${entityType}`;
}

function pushedOf(author: Author, { work, change }: Submission): PushedMutation {
  const { mutation, registration } = work;
  const { mutationId, scope, entityType, entityId, occurredAtMs, identity } = mutation;
  return {
    mutationId,
    userId: author.userId,
    deviceId: author.deviceId,
    scope,
    entityType,
    entityId,
    op: change.op,
    data: change.data,
    ...(change.update === null ? {} : { update: change.update }),
    clock: change.clock,
    ...(change.op === 'merge' ? { baseClock: mutation.baseClock } : {}),
    expectedRevision: change.expectedRevision,
    occurredAt: new Date(occurredAtMs).toISOString(),
    schemaVersion: mutation.schemaVersion ?? registration.schemaVersion,
    ...(change.status === 'applied' ? {} : { fieldWrites: writesToSend(change) }),
    identity,
  };
}

/** A request has to fit a message; without the entries, writers are inferred from what changes. */
function writesToSend({ fieldWrites }: Submission['change']): NonNullable<PushedMutation['fieldWrites']> {
  return Object.keys(fieldWrites).length > MAX_FIELD_WRITES ? {} : fieldWrites;
}

/**
 * Without what follows a change, of its entity, that was not applied: its expected revision was counted on
 * that, and an owner that is ahead by just that much would let it overwrite what nobody has seen. In one
 * request the owner sees to it itself (`pushChains`).
 */
function withoutBroken(
  left: readonly Submission[],
  part: readonly Submission[],
  results: PartSent['results'],
): readonly Submission[] {
  const broken = part.filter(({ work }) => results.get(work.mutation.mutationId)?.status !== 'applied');
  if (broken.length === 0) return left;
  const entityIds = new Set(broken.map(({ work }) => work.mutation.entityId));
  return left.filter(({ work }) => !entityIds.has(work.mutation.entityId));
}

/**
 * The first of them that go in one request: at most so many, about half a MiB, and only those that may go
 * together.
 */
function firstPart(
  submissions: readonly Submission[],
  most: number,
  together: ReadonlyMap<string, number> = new Map(),
): readonly Submission[] {
  const allowedOf = ({ work }: Submission): number | undefined => together.get(work.mutation.mutationId);
  const allowed = submissions[0] && allowedOf(submissions[0]);
  const limit = Math.min(most, allowed ?? most);
  let bytes = 0;
  const end = submissions.findIndex((submission, index) => {
    bytes += roughBytes(submission);
    const fits = index < limit && bytes <= MAX_REQUEST_BYTES && allowedOf(submission) === allowed;
    return index > 0 && !fits;
  });
  return end < 0 ? submissions : submissions.slice(0, end);
}

/**
 * As sent, it is the stored payload, which was measured when it came; the rest is what the request adds to
 * it.
 */
function roughBytes({ work, change }: Submission): number {
  const content = change.status === 'applied' ? work.payloadBytes : Buffer.byteLength(JSON.stringify(change));
  return content + 700;
}
