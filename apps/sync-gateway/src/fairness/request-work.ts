import type { EventEmitter } from 'node:events';
import type { Priority } from '@sync/protocol';
import type { AdmitRequests, Who } from './admit-requests.ts';
import type { Asker } from './fair-line.ts';
import type { Place } from './fair-places.ts';

/**
 * What a request costs, in milliseconds of the gateway's work: its own thread, and its part of Postgres.
 * Rounded from the CPU of the same operations in docs/measurements.md; they are for shares, not for bills.
 */
export const COST_MS = {
  request: 0.2,
  /** Read, inflated and parsed. */
  bodyKib: 0.01,
  /** A mutation that is checked, stored and answered. */
  mutation: 0.1,
  /** A cursor, an outcome or a receipt of an ack. */
  ackElement: 0.02,
  /** Read, put together and compressed. */
  answerKib: 0.01,
} as const;

/** How much there was of what {@link COST_MS} names. */
export type Counted = Partial<Readonly<Record<keyof typeof COST_MS, number>>>;

/** The sum, in milliseconds of work. */
export function costOf(counted: Counted): number {
  let sum = 0;
  for (const [what, costMs] of Object.entries(COST_MS)) {
    sum += (counted[what as keyof typeof COST_MS] ?? 0) * costMs;
  }
  return sum;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route whose caller is known, before its body is read. */
    work: RequestWork | null;
  }
}

/**
 * One request, from the moment on in which its caller is known: where it stands, and what it has cost. It has
 * a place while the gateway works on it, and none while it waits for news or for an earlier push.
 */
export class RequestWork {
  readonly who: Who;
  readonly asker: Asker;
  readonly #admission: AdmitRequests;
  readonly #expectedMs: number;
  #place: Place | null = null;
  /** Counted beyond what was expected, and not said to its tenant's line yet. */
  #countedMs = 0;
  /** Its handler runs, and will give the place back. */
  handled = false;

  constructor(admission: AdmitRequests, who: Who, expectedMs: number) {
    this.#admission = admission;
    this.who = who;
    this.asker = { tenantId: who.tenantId, callerId: `${who.userId}\0${who.deviceId ?? ''}` };
    this.#expectedMs = expectedMs;
  }

  /** What has turned out to be in the request, or in its answer. */
  count(counted: Counted): void {
    const workMs = costOf(counted);
    this.#countedMs += workMs;
    this.#admission.charge(this.who, workMs);
  }

  /**
   * Waits for a place.
   * @param bytes that the request keeps in memory meanwhile
   * @throws ProblemError `rate_limited` or `unavailable`
   */
  async enter(bytes: number, stream: EventEmitter): Promise<void> {
    const costMs = this.#expectedMs;
    this.#place = await this.#admission.places.enter({ asker: this.asker, costMs, bytes, stream });
  }

  /** Gives the place back, if it has one. */
  leave(): void {
    const place = this.#place;
    if (!place) return;
    this.#place = null;
    const heldMs = this.#admission.shareOf(performance.now() - place.sinceMs);
    place.leave(this.#countedMs + heldMs);
    this.#countedMs = 0;
    this.#admission.charge(this.who, heldMs);
  }

  /**
   * Gives its place to others while it waits for something, and waits for one again.
   * @throws ProblemError as `enter`, or whatever `wait` throws
   */
  async away<T>(stream: EventEmitter, wait: () => Promise<T>): Promise<T> {
    this.leave();
    const result = await wait();
    await this.enter(0, stream);
    return result;
  }

  /**
   * It has turned out to be of a lower priority than its route.
   * @throws ProblemError `unavailable` while that one is refused
   */
  demand(priority: Priority): void {
    this.#admission.refuseShed(priority);
  }
}
