import type { NatsConnection } from '@nats-io/transport-node';
import { request } from '@sync/messaging';
import { CircuitBreaker } from './circuit-breaker.ts';
import { answered } from './owner-errors.ts';

/** One question to an owning service. */
export interface OwnerRequest<T> {
  readonly service: string;
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
 * Requests of one kind to owning services, each of which has a breaker here. Pushes and upcasters have a
 * client each: with one breaker for both, an upcaster that is stuck would hold back the pushes of all who
 * need no lifting, and an owner that takes no pushes would say nothing about its upcasters.
 */
export class OwnerClient {
  readonly #nats: NatsConnection;
  /** By service; bounded by the number of registered ones. */
  readonly #breakers = new Map<string, CircuitBreaker>();

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  breakerOf(service: string): CircuitBreaker {
    const known = this.#breakers.get(service);
    if (known) return known;
    const breaker = new CircuitBreaker(BREAKER);
    this.#breakers.set(service, breaker);
    return breaker;
  }

  /**
   * Asks, and tells the breaker what came of it. Whoever calls has asked the breaker whether it may.
   * @throws what `request` throws
   */
  async request<T>({ service, subject, body, timeoutMs, decode, wasLate }: OwnerRequest<T>): Promise<T> {
    const breaker = this.breakerOf(service);
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
