import type { NatsConnection } from '@nats-io/transport-node';
import { storableJson } from '@sync/domain';
import {
  MalformedReplyError,
  MessageTooLargeError,
  NoRespondersError,
  RemoteError,
  request,
  wasUntouched,
} from '@sync/messaging';
import {
  LIMITS,
  OwnerPushReply,
  type OwnerPushResult,
  type PushedMutation,
  type RegisteredEntityType,
  subjects,
  decoder,
  findUnstorable,
} from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { Submission } from '../decide/submission.ts';
import { type Author, type Postponed, postponed } from '../outcome/settlement.ts';
import type { PushMetrics } from '../push-metrics.ts';
import { CircuitBreaker } from './circuit-breaker.ts';

/** What came of sending: answers by mutationId, and what to make of those that are missing. */
export interface Sent {
  readonly results: ReadonlyMap<string, OwnerPushResult>;
  readonly unanswered: Postponed;
}

/** One request's worth of text, well below NATS's bound of 1 MiB; a single mutation may be larger. */
const MAX_REQUEST_BYTES = 512 * 1024;
/** About 32 KiB. */
const MAX_FIELD_WRITES = 300;
const BREAKER = { failures: 5, openMs: 2_000 };

const decodeReply = decoder(OwnerPushReply, 'an OwnerPushReply');

/** Owners may send anything: what an answer or a record cannot carry is replaced before it goes on. */
function readReply(value: unknown): OwnerPushReply {
  const reply = decodeReply(value);
  return findUnstorable(reply) ? (JSON.parse(storableJson(reply)) as OwnerPushReply) : reply;
}

/** Sends changes to the push handlers of owning services over NATS. */
export class SendToOwner {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;
  readonly #metrics: PushMetrics;
  readonly #timeoutMs: number;
  readonly #breakers = new Map<string, CircuitBreaker>();
  /** By service and entity type: epoch milliseconds of the last decision. */
  readonly #decided = new Map<string, number>();

  constructor(nats: NatsConnection, logger: Logger, metrics: PushMetrics, timeoutMs: number) {
    this.#nats = nats;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Sends changes of one entity type, in their order; never throws.
   * A batch that is too large for one message goes in several, one after the other: the order of a lane must hold.
   * @param submissions of one registration; not empty
   */
  async send(author: Author, submissions: readonly Submission[]): Promise<Sent> {
    const results = new Map<string, OwnerPushResult>();
    for (const part of cutToSize(submissions)) {
      const sent = await this.#sendPart(author, part);
      for (const [mutationId, result] of sent.results) results.set(mutationId, result);
      if (sent.results.size < part.length) return { results, unanswered: sent.unanswered };
    }
    return { results, unanswered: postponed('owner_unanswered', true) };
  }

  async #sendPart(author: Author, part: readonly Submission[]): Promise<Sent> {
    const registration = part[0]?.work.registration;
    if (!registration) return nothing(postponed('owner_unavailable'));
    const { service, entityType } = registration;
    const breaker = this.#breakerOf(service);
    if (!breaker.allow(Date.now())) return nothing(postponed('owner_unavailable'));
    const startedMs = performance.now();
    try {
      const subject = registration.pushSubject ?? subjects.push(service, entityType);
      const body = {
        tenantId: author.tenantId,
        mutations: part.map((submission) => pushedOf(author, submission)),
      };
      const reply = await request(this.#nats, subject, body, {
        timeoutMs: this.#timeoutMs,
        decode: readReply,
      });
      breaker.succeed();
      this.#report(service, breaker, 'answered', startedMs);
      const results = new Map(reply.results.map((result) => [result.mutationId, result]));
      if (reply.results.some(({ status }) => status !== 'conflict'))
        this.#decided.set(typeKey(registration), Date.now());
      // A reply that is cut to its size has at least the first answer.
      const failed = part.length === 1 && !results.has(part[0]?.work.mutation.mutationId ?? '');
      return { results, unanswered: postponed(failed ? 'owner_failed' : 'owner_unanswered', true) };
    } catch (error) {
      if (answered(error)) breaker.succeed();
      else breaker.fail(Date.now());
      this.#report(service, breaker, 'failed', startedMs);
      this.#logger.warn(
        { err: error, owner: service, entityType, mutations: part.length },
        'an owning service did not answer a push',
      );
      return nothing(unansweredBecause(error, part.length === 1));
    }
  }

  /** When the owner last applied or refused a mutation of the type, as far as this process knows; epoch milliseconds, 0: never. */
  lastDecidedMs(registration: RegisteredEntityType): number {
    return this.#decided.get(typeKey(registration)) ?? 0;
  }

  #report(service: string, breaker: CircuitBreaker, result: 'answered' | 'failed', startedMs: number): void {
    this.#metrics.ownerSeconds.observe({ owner: service, result }, (performance.now() - startedMs) / 1000);
    this.#metrics.ownerOpen.set({ owner: service }, breaker.isOpen ? 1 : 0);
  }

  /** Bounded by the number of registered services. */
  #breakerOf(service: string): CircuitBreaker {
    const known = this.#breakers.get(service);
    if (known) return known;
    const breaker = new CircuitBreaker(BREAKER);
    this.#breakers.set(service, breaker);
    return breaker;
  }
}

function nothing(unanswered: Postponed): Sent {
  return { results: new Map(), unanswered };
}

/** The owner is there, or was not asked: refusing one batch says nothing about the next. */
function answered(error: unknown): boolean {
  if (error instanceof MessageTooLargeError) return true;
  return error instanceof RemoteError && error.code !== 'unavailable' && error.code !== 'overloaded';
}

/**
 * An owner that is away, or says that it cannot now, has not failed; one that answers with an error, or with something that is no answer, has. Which of
 * several mutations it failed at shows when they are sent apart.
 */
function unansweredBecause(error: unknown, alone: boolean): Postponed {
  const mayBeSent = !wasUntouched(error);
  const isAway = (error instanceof RemoteError || error instanceof NoRespondersError) && !answered(error);
  if (isAway) return postponed('owner_unavailable', mayBeSent);
  const failed = alone && (answered(error) || error instanceof MalformedReplyError);
  return postponed(failed ? 'owner_failed' : 'owner_unanswered', mayBeSent);
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

/** Parts of at most 500 mutations and about half a MiB, in order. */
function cutToSize(submissions: readonly Submission[]): Submission[][] {
  const parts: Submission[][] = [];
  let bytes = Infinity;
  for (const submission of submissions) {
    const size = roughBytes(submission);
    const last = parts.at(-1);
    if (last && bytes + size <= MAX_REQUEST_BYTES && last.length < LIMITS.mutationsPerPush) {
      last.push(submission);
      bytes += size;
    } else {
      parts.push([submission]);
      bytes = size;
    }
  }
  return parts;
}

/** As sent, it is the stored payload, which was measured when it came; the rest is what the request adds to it. */
function roughBytes({ work, change }: Submission): number {
  const content = change.status === 'applied' ? work.payloadBytes : Buffer.byteLength(JSON.stringify(change));
  return content + 700;
}
