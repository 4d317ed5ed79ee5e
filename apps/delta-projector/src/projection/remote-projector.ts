import { groupsThatFit, request } from '@sync/messaging';
import { RemoteProjectionReply, validator, type RemoteProjectionRequest } from '@sync/protocol';
import type { NatsConnection } from '@nats-io/transport-node';

/** What a remote projector says about one entity. */
export interface RemoteAnswer {
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly scopes: readonly string[];
  readonly grants: readonly { readonly scope: string; readonly userId: string }[];
}

export type RemoteQuestion = RemoteProjectionRequest['entities'][number];

/** Thrown while another attempt may help: the batch rolls back and comes again after a pause. */
export class RemoteProjectionError extends Error {
  override readonly name = 'RemoteProjectionError';
}

/** A single larger one goes alone and may be refused by NATS. */
const REQUEST_ROOM = { count: 100, bytes: 700_000 } as const;
const TIMEOUT_MS = 2_000;
const ATTEMPTS = 4;
const OPEN_MS = 30_000;

const checkReply = validator(RemoteProjectionReply);

interface Circuit {
  failures: number;
  /** Until then nobody asks. */
  openUntilMs: number;
}

/**
 * Asks remote projectors in batches, and bounds what a silent one may cost. The first failures let the batch
 * come again after a growing pause; after that the circuit is open for 30 s, in which its events go to the
 * dead letters at once (from where they are tried again by themselves) and no other entity type waits for it.
 */
export class RemoteProjector {
  readonly #nats: NatsConnection;
  readonly #nowMs: () => number;
  readonly #circuits = new Map<string, Circuit>();

  constructor(nats: NatsConnection, nowMs: () => number = Date.now) {
    this.#nats = nats;
    this.#nowMs = nowMs;
  }

  /**
   * @returns one answer per question, same order; or why there is none, when its circuit is open
   * @throws RemoteProjectionError while the batch should simply be tried again
   */
  async ask(
    subject: string,
    questions: readonly RemoteQuestion[],
  ): Promise<readonly RemoteAnswer[] | string> {
    let circuit = this.#circuits.get(subject);
    if (circuit === undefined) this.#circuits.set(subject, (circuit = { failures: 0, openUntilMs: 0 }));
    if (circuit.openUntilMs > this.#nowMs()) return `${subject} has not answered; asked again later`;
    try {
      const answers: RemoteAnswer[] = [];
      for (const part of groupsThatFit(questions, REQUEST_ROOM))
        answers.push(...(await this.#askPart(subject, part)));
      circuit.failures = 0;
      return answers;
    } catch (error) {
      circuit.failures += 1;
      const cause = error instanceof Error ? error.message : String(error);
      if (circuit.failures < ATTEMPTS) throw new RemoteProjectionError(cause, { cause: error });
      circuit.openUntilMs = this.#nowMs() + OPEN_MS;
      return cause;
    }
  }

  async #askPart(subject: string, entities: readonly RemoteQuestion[]): Promise<RemoteAnswer[]> {
    const reply = await request(
      this.#nats,
      subject,
      { entities },
      { timeoutMs: TIMEOUT_MS, decode: decodeReply },
    );
    if (reply.entities.length !== entities.length) {
      throw new Error(`${subject} answered ${reply.entities.length} of ${entities.length} entities`);
    }
    return reply.entities.map(({ data, scopes, grants = [] }) => ({ data, scopes, grants }));
  }
}

function decodeReply(value: unknown): RemoteProjectionReply {
  const checked = checkReply(value);
  if (checked.ok) return checked.value;
  throw new TypeError(checked.faults.map(({ path, message }) => `${path} ${message}`).join('; '));
}
