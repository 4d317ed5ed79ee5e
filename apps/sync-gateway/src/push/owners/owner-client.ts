import type { NatsConnection } from '@nats-io/transport-node';
import { request } from '@sync/messaging';
import { CircuitBreaker } from './circuit-breaker.ts';
import { answered } from './owner-errors.ts';

/** One question to an owning service. */
export interface OwnerRequest<T> {
  /** What it fails together with: see {@link OwnerClient.breakerOf}. */
  readonly breaker: string;
  readonly subject: string;
  readonly body: unknown;
  readonly timeoutMs: number;
  /** Checks and types the reply, see `request`. */
  readonly decode: (value: unknown) => T;
  /** Whoever waited has counted the silence already. */
  readonly wasLate?: () => boolean;
}

const BREAKER = { failures: 5, openMs: 2_000 };

/**
 * Requests of one kind to owning services, with breakers. Pushes and upcasters have a client each: with one
 * breaker for both, an upcaster that is stuck would hold back the pushes of all who need no lifting, and an
 * owner that takes no pushes would say nothing about its upcasters.
 */
export class OwnerClient {
  readonly #nats: NatsConnection;
  /** Bounded by the number of registrations. */
  readonly #breakers = new Map<string, CircuitBreaker>();

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /** @param name a service, whose pushes fail together; or the subject of an upcaster, which fails alone */
  breakerOf(name: string): CircuitBreaker {
    const known = this.#breakers.get(name);
    if (known) return known;
    const breaker = new CircuitBreaker(BREAKER);
    this.#breakers.set(name, breaker);
    return breaker;
  }

  /**
   * Asks, and tells the breaker what came of it. Whoever calls has asked the breaker whether it may.
   * @throws what `request` throws
   */
  async request<T>({ subject, body, timeoutMs, decode, wasLate, ...one }: OwnerRequest<T>): Promise<T> {
    const breaker = this.breakerOf(one.breaker);
    try {
      const reply = await request(this.#nats, subject, body, { timeoutMs, decode });
      breaker.succeed();
      return reply;
    } catch (error) {
      if (answered(error)) breaker.succeed();
      else if (!wasLate?.()) breaker.fail(Date.now());
      throw error;
    }
  }
}
