import type { NatsConnection } from '@nats-io/transport-node';
import { findUnstorable, UpcastReply, type UpcastRequest, decoder } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { PostponeReason } from '../outcome/settlement.ts';
import { OwnerClient } from './owner-client.ts';
import { blamesTheRequest } from './owner-errors.ts';

/** What an owner made of one mutation's data. */
export type UpcastResult = UpcastReply['results'][number];

/** Answers by mutationId, and what to make of those that are missing. */
export interface Lifted {
  readonly results: ReadonlyMap<string, UpcastResult>;
  readonly missing: PostponeReason;
}

/** Where to ask, and until when. */
export interface UpcastAddress {
  readonly service: string;
  readonly subject: string;
  /** Epoch milliseconds. */
  readonly deadlineMs: number;
}

const TIMEOUT_MS = 2_000;
const MAX_REQUEST_BYTES = 512 * 1024;

const decodeReply = decoder(UpcastReply, 'an UpcastReply');

/** Asks owning services to lift data from one schema version to the next. */
export class AskUpcaster {
  readonly #client: OwnerClient;
  readonly #logger: Logger;

  constructor(nats: NatsConnection, logger: Logger) {
    this.#client = new OwnerClient(nats);
    this.#logger = logger;
  }

  /**
   * Asks in messages of about half a MiB; never throws.
   * @returns what is missing was not answered, or with something that cannot be stored
   */
  async ask(address: UpcastAddress, question: UpcastRequest): Promise<Lifted> {
    const results = new Map<string, UpcastResult>();
    // Which of several its owner fails at shows when they are asked for apart.
    const failed = question.mutations.length === 1 ? 'owner_failed' : 'owner_unanswered';
    for (const mutations of cutToSize(question.mutations)) {
      const answered = await this.#askPart(address, { ...question, mutations });
      if (!Array.isArray(answered)) return { results, missing: answered === 'failed' ? failed : answered };
      for (const result of answered) results.set(result.mutationId, result);
    }
    return { results, missing: failed };
  }

  async #askPart(
    address: UpcastAddress,
    question: UpcastRequest,
  ): Promise<UpcastResult[] | 'owner_unavailable' | 'failed'> {
    const { service, subject, deadlineMs } = address;
    const nowMs = Date.now();
    const timeoutMs = Math.min(TIMEOUT_MS, deadlineMs - nowMs);
    if (timeoutMs <= 0 || !this.#client.breakerOf(subject).allow(nowMs)) return 'owner_unavailable';
    try {
      const asked = { breaker: subject, subject, body: question, timeoutMs, decode: decodeReply };
      const reply = await this.#client.request(asked);
      return reply.results.filter((result) => this.#isStorable(address, result));
    } catch (error) {
      const { entityType, from, mutations } = question;
      const context = { owner: service, entityType, from, mutations: mutations.length };
      this.#logger.warn({ err: error, ...context }, 'an owning service did not lift mutations');
      return blamesTheRequest(error) ? 'failed' : 'owner_unavailable';
    }
  }

  #isStorable({ service, subject }: UpcastAddress, result: UpcastResult): boolean {
    const fault = 'data' in result ? findUnstorable(result.data) : null;
    if (!fault) return true;
    const context = { owner: service, subject, mutationId: result.mutationId, ...fault };
    this.#logger.error(context, 'an owning service lifted a mutation to something that cannot be stored');
    return false;
  }
}

function cutToSize(mutations: UpcastRequest['mutations']): UpcastRequest['mutations'][] {
  const parts: UpcastRequest['mutations'][] = [];
  let total = Infinity;
  for (const mutation of mutations) {
    const bytes = Buffer.byteLength(JSON.stringify(mutation));
    const last = parts.at(-1);
    if (last && total + bytes <= MAX_REQUEST_BYTES) {
      last.push(mutation);
      total += bytes;
    } else {
      parts.push([mutation]);
      total = bytes;
    }
  }
  return parts;
}
