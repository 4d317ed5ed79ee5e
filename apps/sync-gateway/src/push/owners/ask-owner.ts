import type { NatsConnection } from '@nats-io/transport-node';
import { storableJson, readJson } from '@sync/domain';
import {
  AGAIN,
  GroupedCalls,
  NoRespondersError,
  RemoteError,
  RequestTimeoutError,
  wasUntouched,
} from '@sync/messaging';
import {
  decoder,
  findUnstorable,
  LIMITS,
  OwnerPushReply,
  type OwnerPushResult,
  type PushedMutation,
  type RegisteredEntityType,
  subjects,
} from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { type Postponed, postponed } from '../outcome/settlement.ts';
import type { PushMetrics } from '../push-metrics.ts';
import { OwnerClient } from './owner-client.ts';
import { answered, blamesTheRequest } from './owner-errors.ts';
import { OwnerGate } from './owner-gate.ts';
import { growBatch, shrinkBatch } from './owner-pace.ts';

/** Changes of one push for their owner. */
export interface OwnerQuestion {
  readonly tenantId: string;
  readonly registration: RegisteredEntityType;
  /** At least one. */
  readonly mutations: readonly PushedMutation[];
  /** About as large as they are in the request. */
  readonly bytes: number;
  /** Epoch milliseconds after which it is not sent. */
  readonly deadlineMs: number;
  /** Nobody waits for the answer: it goes alone, and its owner may take its time. */
  readonly patient: boolean;
}

/** What came of a question that was sent. */
export interface Answered {
  /** By mutationId. */
  readonly results: ReadonlyMap<string, OwnerPushResult>;
  /** What to make of a mutation without a result. */
  readonly unanswered: Postponed;
}

/** One owning service, as this process knows it. */
interface OwnerLine {
  readonly gate: OwnerGate;
  /** By entity type: mutations a request. */
  readonly batches: Map<string, number>;
}

/** A request under way. */
interface Call {
  readonly sentAtMs: number;
  /** Nobody waits for it any more. */
  wasLate: boolean;
}

/** One request's worth of text, well below NATS's bound of 1 MiB; a single mutation may be larger. */
export const MAX_REQUEST_BYTES = 512 * 1024;
/** An owner that is quick answers in less; behind one that is not nobody waits for another one's push. */
const MAX_WAIT_MS = 10;
/** After a shared request that failed: an owner that is slow has twice the work of the next one, too. */
const ALONE_MS = 2_000;
/** Lines that are asked about each push alone; forgetting one costs one more failed request. */
const MAX_ALONE = 1_000;
/**
 * How long a request is waited for in the background, in time-outs of a push; a dispatcher's run has to end
 * before its devices are taken by another one.
 */
const PATIENCE = 4;
const MAX_PATIENCE_MS = 12_000;
const NO_RESULTS: ReadonlyMap<string, OwnerPushResult> = new Map();

const decodeReply = decoder(OwnerPushReply, 'an OwnerPushReply');

/** Owners may send anything: what an answer or a record cannot carry is replaced before it goes on. */
function readReply(value: unknown): OwnerPushReply {
  const reply = decodeReply(value);
  return findUnstorable(reply) ? (readJson(storableJson(reply)) as OwnerPushReply) : reply;
}

/**
 * Requests to push handlers.
 *
 * What several devices push of one entity type at the same time goes in one request: it costs its owner one
 * transaction, and all behind it one message. A push never fails with another one: whatever has no answer
 * because of what it was sent with is asked about alone.
 *
 * An owner that is slow is not asked more often for it: what it has not answered yet counts as in hand,
 * whether its sender still waits or not, and how much that may be follows its answers ({@link OwnerGate}).
 * Gate and breaker count requests, however many pushes are in one.
 */
export class AskOwner {
  readonly #client: OwnerClient;
  readonly #logger: Logger;
  readonly #metrics: PushMetrics;
  readonly #timeoutMs: number;
  readonly #patienceMs: number;
  /** By service; bounded by the number of registered ones. */
  readonly #lines = new Map<string, OwnerLine>();
  /** By tenant, service and entity type, while something is under way. */
  readonly #groups = new Map<string, GroupedCalls<OwnerQuestion, Answered | Postponed>>();
  /** By the same, until when each push goes alone; epoch milliseconds. */
  readonly #alone = new Map<string, number>();
  /** By service and entity type: epoch milliseconds of the last decision. */
  readonly #decided = new Map<string, number>();

  /** @param timeoutMs how long a push waits for an answer */
  constructor(nats: NatsConnection, logger: Logger, metrics: PushMetrics, timeoutMs: number) {
    this.#client = new OwnerClient(nats);
    this.#logger = logger;
    this.#metrics = metrics;
    this.#timeoutMs = timeoutMs;
    this.#patienceMs = Math.max(timeoutMs, Math.min(PATIENCE * timeoutMs, MAX_PATIENCE_MS));
  }

  /** @returns why it was not sent, or what came of it; never throws */
  async ask(question: OwnerQuestion): Promise<Answered | Postponed> {
    const key = groupKey(question);
    const mayShare = !question.patient && question.registration.pushShares;
    if (!mayShare || (this.#alone.get(key) ?? 0) > Date.now()) return this.#requestAlone(question);
    this.#alone.delete(key);
    const group = this.#groups.get(key) ?? this.#newGroup();
    this.#groups.set(key, group);
    try {
      return await group.do(question);
    } finally {
      if (group.isIdle && this.#groups.get(key) === group) this.#groups.delete(key);
    }
  }

  /** Mutations that the owner of a type takes in one request now. */
  batchOf({ service, entityType }: RegisteredEntityType): number {
    return this.#lineOf(service).batches.get(entityType) ?? LIMITS.mutationsPerPush;
  }

  /**
   * When the owner last applied or refused a mutation of the type, as far as this process knows; epoch
   * milliseconds, 0: never.
   */
  lastDecidedMs(registration: RegisteredEntityType): number {
    return this.#decided.get(typeKey(registration)) ?? 0;
  }

  #newGroup(): GroupedCalls<OwnerQuestion, Answered | Postponed> {
    return new GroupedCalls({
      together: (questions) => this.#request(questions),
      concernsAll: () => true,
      fits: (before, next) => this.#fits(before, next),
      maxWaitMs: MAX_WAIT_MS,
    });
  }

  /**
   * Two pushes of one entity never go together: what becomes of the first decides about the rest of its
   * entity in a request, and that is no affair of another device. Nor do two with one mutationId: answers are
   * told apart by it.
   */
  #fits(before: readonly OwnerQuestion[], next: OwnerQuestion): boolean {
    const count = before.reduce((sum, { mutations }) => sum + mutations.length, next.mutations.length);
    const bytes = before.reduce((sum, question) => sum + question.bytes, next.bytes);
    if (count > this.batchOf(next.registration) || bytes > MAX_REQUEST_BYTES) return false;
    const known = before.flatMap(({ mutations }) => mutations);
    return !next.mutations.some(({ mutationId, entityId }) =>
      known.some((other) => other.entityId === entityId || other.mutationId === mutationId),
    );
  }

  async #requestAlone(question: OwnerQuestion): Promise<Answered | Postponed> {
    const [answer] = await this.#request([question]);
    return answer === undefined || answer === AGAIN ? postponed('owner_unanswered', true) : answer;
  }

  /**
   * One request, if its owner may have one more.
   * @param questions of one tenant and entity type
   */
  async #request(questions: readonly OwnerQuestion[]): Promise<(Answered | Postponed | typeof AGAIN)[]> {
    const { registration, patient } = questions[0] as OwnerQuestion;
    const { gate } = this.#lineOf(registration.service);
    const deadlineMs = Math.min(...questions.map((question) => question.deadlineMs));
    const refused = await this.#enter(registration.service, deadlineMs, patient);
    if (refused) return questions.map(() => refused);
    const call: Call = { sentAtMs: Date.now(), wasLate: false };
    const answer = this.#answerOf(questions, call);
    const waited = patient ? await answer : await within(answer, this.#timeoutMs);
    if (waited) return waited;
    call.wasLate = true;
    gate.late(call.sentAtMs);
    this.#client.breakerOf(registration.service).fail(Date.now());
    const silent = { results: NO_RESULTS, unanswered: postponed('owner_silent', true) };
    return questions.map(() => silent);
  }

  /** @returns why nothing may be sent now; null: it may, and the gate is entered */
  async #enter(service: string, deadlineMs: number, patient: boolean): Promise<Postponed | null> {
    const { gate } = this.#lineOf(service);
    const breaker = this.#client.breakerOf(service);
    const nowMs = Date.now();
    if (nowMs > deadlineMs) return postponed('out_of_time');
    if (breaker.refuses(nowMs)) return postponed('owner_unavailable');
    if (!patient && gate.isStuck) return postponed('owner_busy');
    const untilMs = patient ? deadlineMs : Math.min(deadlineMs, nowMs + this.#timeoutMs);
    if (!(await gate.enter(untilMs))) return postponed('owner_busy');
    if (breaker.allow(Date.now())) return null;
    gate.leave(0, 'none', false);
    return postponed('owner_unavailable');
  }

  /** Asks, and learns of the answer whoever still waits for it; never throws. */
  async #answerOf(questions: readonly OwnerQuestion[], call: Call): Promise<(Answered | typeof AGAIN)[]> {
    const { tenantId, registration } = questions[0] as OwnerQuestion;
    const { service, entityType, pushSubject } = registration;
    const { gate, batches } = this.#lineOf(service);
    const mutations = questions.flatMap((question) => question.mutations);
    const isShared = questions.length > 1;
    let speed: 'in time' | 'late' | 'none' = 'none';
    try {
      const reply = await this.#client.request({
        breaker: service,
        subject: pushSubject ?? subjects.push(service, entityType),
        body: { tenantId, mutations, ...(isShared && { shared: true }) },
        timeoutMs: this.#patienceMs,
        decode: readReply,
        wasLate: () => call.wasLate,
      });
      speed = Date.now() - call.sentAtMs <= this.#timeoutMs ? 'in time' : 'late';
      batches.set(entityType, growBatch(this.batchOf(registration), mutations.length, speed === 'in time'));
      this.#report(service, 'answered', call.sentAtMs);
      if (reply.results.some(({ status }) => status !== 'conflict'))
        this.#decided.set(typeKey(registration), Date.now());
      return questions.map((question) => answeredOf(question, reply.results, isShared));
    } catch (error) {
      if (tooMuch(error)) {
        speed = 'late';
        batches.set(entityType, shrinkBatch(this.batchOf(registration), mutations.length));
      }
      this.#report(service, 'failed', call.sentAtMs);
      const context = { err: error, owner: service, entityType, mutations: mutations.length, isShared };
      this.#logger.warn(context, 'an owning service did not answer a push');
      if (isShared && blamesTheRequest(error)) {
        if (this.#alone.size >= MAX_ALONE) this.#alone.clear();
        this.#alone.set(groupKey(questions[0] as OwnerQuestion), Date.now() + ALONE_MS);
        return questions.map(() => AGAIN);
      }
      const unanswered = unansweredBecause(error, mutations.length === 1);
      return questions.map(() => ({ results: NO_RESULTS, unanswered }));
    } finally {
      gate.leave(call.sentAtMs, speed, call.wasLate);
    }
  }

  #report(service: string, result: 'answered' | 'failed', sentAtMs: number): void {
    const { gate } = this.#lineOf(service);
    const { isOpen } = this.#client.breakerOf(service);
    this.#metrics.ownerSeconds.observe({ owner: service, result }, (Date.now() - sentAtMs) / 1000);
    this.#metrics.ownerOpen.set({ owner: service }, isOpen ? 1 : 0);
    this.#metrics.ownerLimit.set({ owner: service }, gate.limit);
  }

  #lineOf(service: string): OwnerLine {
    const known = this.#lines.get(service);
    if (known) return known;
    const line = { gate: new OwnerGate(), batches: new Map() };
    this.#lines.set(service, line);
    return line;
  }
}

/** A reply that is cut to its size has at least the first answer; of a shared one each may be the first. */
function answeredOf(
  { mutations }: OwnerQuestion,
  all: readonly OwnerPushResult[],
  isShared: boolean,
): Answered | typeof AGAIN {
  const ids = new Set(mutations.map(({ mutationId }) => mutationId));
  const own = all.filter(({ mutationId }) => ids.has(mutationId));
  if (own.length === 0 && isShared) return AGAIN;
  const failed = mutations.length === 1 && own.length === 0;
  return {
    results: new Map(own.map((result) => [result.mutationId, result])),
    unanswered: postponed(failed ? 'owner_failed' : 'owner_unanswered', true),
  };
}

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

/**
 * An owner that is away, silent, or says that it cannot now, has not failed; one that answers with an error,
 * or with something that is no answer, has. Which of several mutations it failed at shows when each is sent
 * alone.
 */
function unansweredBecause(error: unknown, alone: boolean): Postponed {
  const mayBeSent = !wasUntouched(error);
  const isAway = (error instanceof RemoteError || error instanceof NoRespondersError) && !answered(error);
  if (isAway) return postponed('owner_unavailable', mayBeSent);
  if (!blamesTheRequest(error)) return postponed('owner_silent', mayBeSent);
  return postponed(alone ? 'owner_failed' : 'owner_unanswered', mayBeSent);
}

/** NUL occurs in neither part. */
function typeKey({ service, entityType }: RegisteredEntityType): string {
  return `${service}\0${entityType}`;
}

function groupKey({ tenantId, registration }: OwnerQuestion): string {
  return `${tenantId}\0${typeKey(registration)}`;
}
