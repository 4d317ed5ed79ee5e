import type { NatsConnection } from '@nats-io/transport-node';
import { type Decision, type DecisionInput, decide } from '@sync/domain';
import { RemoteError, request } from '@sync/messaging';
import { type DecideReply, type DecideRequest, subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { AskDeleted, type DeletedDataMissing } from './ask-deleted.ts';

const TIMEOUT_MS = 2_000;
/**
 * An answer is two and a half times as long, both sides travel in the record, once whole and once by field;
 * of many small fields far longer.
 */
const MAX_REQUEST_BYTES = 256 * 1024;
const MAX_SINGLE_BYTES = 300_000;

/** Why a question has no decision now. */
export type Undecided = 'resolver_unavailable' | DeletedDataMissing;

/** Asks the conflict-resolver what becomes of concurrent mutations. */
export class AskResolver {
  readonly #nats: NatsConnection;
  readonly #logger: Logger;
  readonly #deleted: AskDeleted;

  constructor(nats: NatsConnection, logger: Logger) {
    this.#nats = nats;
    this.#logger = logger;
    this.#deleted = new AskDeleted(nats, logger);
  }

  /** @returns a decision per question in the same order, or why there is none now; never throws */
  async decide(tenantId: string, questions: readonly DecisionInput[]): Promise<(Decision | Undecided)[]> {
    const completed = await this.#deleted.complete(tenantId, questions);
    const decidable = completed.filter((one) => typeof one !== 'string');
    const decisions: (Decision | Undecided)[] = [];
    for (const part of cutToSize(decidable)) decisions.push(...(await this.#decidePart(tenantId, part)));
    return completed.map((one) =>
      typeof one === 'string' ? one : (decisions.shift() as Decision | Undecided),
    );
  }

  async #decidePart(tenantId: string, part: readonly Sized[]): Promise<(Decision | Undecided)[]> {
    const [first] = part;
    if (first && first.bytes > MAX_SINGLE_BYTES) return decideHere(part);
    const body: DecideRequest = { tenantId, items: part.map(({ question }) => question) };
    try {
      const reply = await request(this.#nats, subjects.decide, body, {
        timeoutMs: TIMEOUT_MS,
        decode: (value) => decodeReply(value, part.length),
      });
      return [...reply.decisions];
    } catch (error) {
      if (error instanceof RemoteError && error.code === 'reply_too_large') return decideHere(part);
      this.#logger.warn({ err: error, tenantId, items: part.length }, 'the conflict-resolver did not decide');
      return part.map(() => 'resolver_unavailable');
    }
  }
}

/** What fits no message is answered here: the decision is a pure function, the same on both sides. */
function decideHere(part: readonly Sized[]): Decision[] {
  return part.map(({ question }) => decide(question));
}

interface Sized {
  readonly question: DecisionInput;
  readonly bytes: number;
}

function cutToSize(questions: readonly DecisionInput[]): Sized[][] {
  const parts: Sized[][] = [];
  let total = Infinity;
  for (const question of questions) {
    const bytes = Buffer.byteLength(JSON.stringify(question));
    const last = parts.at(-1);
    if (last && total + bytes <= MAX_REQUEST_BYTES) {
      last.push({ question, bytes });
      total += bytes;
    } else {
      parts.push([{ question, bytes }]);
      total = bytes;
    }
  }
  return parts;
}

const KINDS: ReadonlySet<unknown> = new Set(['submit', 'supersede', 'reject', 'hold']);

function decodeReply(value: unknown, expected: number): DecideReply {
  const decisions = (value as { decisions?: unknown } | null)?.decisions;
  if (!Array.isArray(decisions) || decisions.length !== expected)
    throw new TypeError('not one decision per item');
  for (const decision of decisions as ({ kind?: unknown } | null)[]) {
    if (!KINDS.has(decision?.kind)) throw new TypeError('a decision of unknown kind');
  }
  return value as DecideReply;
}
