import type { NatsConnection } from '@nats-io/transport-node';
import { storableJson } from '@sync/domain';
import {
  MalformedReplyError,
  MessageTooLargeError,
  RemoteError,
  request,
  GroupedCalls,
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

/** Changes of one push for their owner. */
export interface OwnerQuestion {
  readonly tenantId: string;
  readonly registration: RegisteredEntityType;
  readonly mutations: readonly PushedMutation[];
  /** About as large as they are in the request. */
  readonly bytes: number;
  /** Those of other pushes may be asked about with it, where the owner takes that (`pushShares`). */
  readonly mayShare: boolean;
  /** Mutations that the owner takes in one request now. */
  readonly batchLimit: number;
}

/** What an owner answered to one request. */
export interface OwnerAnswers {
  /** By mutationId. */
  readonly results: ReadonlyMap<string, OwnerPushResult>;
  /** Other pushes were in it: one of them may be why an answer is missing. */
  readonly wasShared: boolean;
}

/** One request's worth of text, well below NATS's bound of 1 MiB; a single mutation may be larger. */
export const MAX_REQUEST_BYTES = 512 * 1024;
/** An owner that is quick answers in less; behind one that is not nobody waits for another one's push. */
const MAX_WAIT_MS = 10;

const decodeReply = decoder(OwnerPushReply, 'an OwnerPushReply');

/** Owners may send anything: what an answer or a record cannot carry is replaced before it goes on. */
function readReply(value: unknown): OwnerPushReply {
  const reply = decodeReply(value);
  return findUnstorable(reply) ? (JSON.parse(storableJson(reply)) as OwnerPushReply) : reply;
}

/**
 * Requests to push handlers. What several devices push of one entity type at the same time goes in one request:
 * it costs its owner one transaction, and all behind it one message.
 *
 * A push never fails with another one: an owner that cannot do all of them soon says so (`shared_failed`) and
 * is asked about each alone.
 */
export class AskOwner {
  readonly #nats: NatsConnection;
  readonly #timeoutMs: number;
  /** By tenant and entity type, while something is under way. */
  readonly #lines = new Map<string, GroupedCalls<OwnerQuestion, OwnerAnswers>>();

  /** @param timeoutMs how long an answer is waited for */
  constructor(nats: NatsConnection, timeoutMs: number) {
    this.#nats = nats;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws what `request` throws */
  async ask(question: OwnerQuestion): Promise<OwnerAnswers> {
    const { tenantId, registration, mayShare } = question;
    if (!mayShare || !registration.pushShares) return this.#ask([question]);
    // NUL occurs in none of them.
    const key = [tenantId, registration.service, registration.entityType].join('\0');
    const line = this.#lines.get(key) ?? this.#newLine();
    this.#lines.set(key, line);
    try {
      return await line.do(question);
    } finally {
      if (line.isIdle && this.#lines.get(key) === line) this.#lines.delete(key);
    }
  }

  #newLine(): GroupedCalls<OwnerQuestion, OwnerAnswers> {
    return new GroupedCalls({
      together: async (questions) => {
        const answers = await this.#ask(questions);
        return questions.map(() => answers);
      },
      alone: (question) => this.#ask([question]),
      concernsAll: saysNothingOfPushes,
      fits,
      maxWaitMs: MAX_WAIT_MS,
    });
  }

  /** @param questions of one tenant and entity type; at least one */
  async #ask(questions: readonly OwnerQuestion[]): Promise<OwnerAnswers> {
    const { tenantId, registration } = questions[0] as OwnerQuestion;
    const { service, entityType, pushSubject } = registration;
    const mutations = questions.flatMap((question) => question.mutations);
    const body = { tenantId, mutations, ...(questions.length > 1 && { shared: true }) };
    const reply = await request(this.#nats, pushSubject ?? subjects.push(service, entityType), body, {
      timeoutMs: this.#timeoutMs,
      decode: readReply,
    });
    const results = new Map(reply.results.map((result) => [result.mutationId, result]));
    return { results, wasShared: questions.length > 1 };
  }
}

/** Of an owner that is away, silent or busy nothing is learnt by asking it more often. */
function saysNothingOfPushes(error: unknown): boolean {
  if (error instanceof RemoteError) return error.code === 'unavailable' || error.code === 'overloaded';
  return !(error instanceof MalformedReplyError || error instanceof MessageTooLargeError);
}

/**
 * Two pushes of one entity never go together: what becomes of the first decides about the rest of its
 * entity in a request, and that is no affair of another device.
 */
function fits(before: readonly OwnerQuestion[], next: OwnerQuestion): boolean {
  const count = before.reduce((sum, { mutations }) => sum + mutations.length, next.mutations.length);
  const bytes = before.reduce((sum, question) => sum + question.bytes, next.bytes);
  const limit = Math.min(next.batchLimit, LIMITS.mutationsPerPush);
  if (count > limit || bytes > MAX_REQUEST_BYTES) return false;
  const known = new Set(before.flatMap(({ mutations }) => mutations.map(({ entityId }) => entityId)));
  return !next.mutations.some(({ entityId }) => known.has(entityId));
}
