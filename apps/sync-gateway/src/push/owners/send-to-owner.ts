import type { NatsConnection } from '@nats-io/transport-node';
import type { OwnerPushResult, PushedMutation, RegisteredEntityType } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { Submission } from '../decide/submission.ts';
import { type Author, type Postponed, postponed } from '../outcome/settlement.ts';
import type { PushMetrics } from '../push-metrics.ts';
import { AskOwner, MAX_REQUEST_BYTES } from './ask-owner.ts';
import { WatchWriters } from './watch-writers.ts';

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

/** About 32 KiB. */
const MAX_FIELD_WRITES = 300;

/** Sends the changes of one push or dispatched device to their owners, in requests that fit. */
export class SendToOwner {
  readonly #owners: AskOwner;
  readonly #writers: WatchWriters;

  /** @param timeoutMs how long a push waits for an answer */
  constructor(nats: NatsConnection, logger: Logger, metrics: PushMetrics, timeoutMs: number) {
    this.#owners = new AskOwner(nats, logger, metrics, timeoutMs);
    this.#writers = new WatchWriters(logger, metrics);
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
    const { deadlineMs, patient } = limits;
    this.#writers.look(author, submissions);
    const sentAtMs = Date.now();
    let left = submissions;
    for (;;) {
      const registration = left[0]?.work.registration;
      if (!registration) break;
      // Cut one by one: the answer to one part may say how large the next one should be.
      const part = firstPart(left, this.#owners.batchOf(registration), limits.together);
      left = left.slice(part.length);
      const sent = await this.#owners.ask({
        ...{ tenantId: author.tenantId, registration, deadlineMs, patient },
        mutations: part.map((submission) => pushedOf(author, submission)),
        bytes: part.reduce((sum, submission) => sum + roughBytes(submission), 0),
      });
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
    this.#writers.note(author, submissions, results, sentAtMs);
    return { results, asked, unanswered, unasked };
  }

  /** See {@link AskOwner.lastDecidedMs}. */
  lastDecidedMs(registration: RegisteredEntityType): number {
    return this.#owners.lastDecidedMs(registration);
  }
}

function pushedOf(author: Author, { work, change }: Submission): PushedMutation {
  const { mutation, registration } = work;
  const { mutationId, scope, entityType, entityId, occurredAtMs, identity, dataDigest } = mutation;
  const isLifted = work.sentData !== undefined;
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
    ...(work.refuse && { refuse: work.refuse }),
    ...(mutation.tag === undefined ? {} : { tag: mutation.tag }),
    ...(change.op === 'append' && dataDigest !== undefined && !isLifted && { dataDigest }),
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
  results: Sent['results'],
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
