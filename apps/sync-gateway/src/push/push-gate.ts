import { ProblemError } from '@sync/service-kit';
import type { PushMetrics } from './push-metrics.ts';
import type { Author } from './settlement.ts';

/** Bounds of {@link PushGate}. */
export interface GateLimits {
  /** Pushes that one replica works on at once. */
  readonly inFlight: number;
  /** How long a second push of the same device waits for the first. */
  readonly waitMs: number;
}

/**
 * Back-pressure of pushes. One push per device at a time, because the second one is usually a repetition of the first and then
 * finds its outcomes; a third one is refused at once. Too many devices at once are refused before any work is done for them.
 */
export class PushGate {
  readonly #limits: GateLimits;
  readonly #metrics: PushMetrics;
  /** Per device the end of its running push, and whether somebody waits for it. */
  readonly #devices = new Map<string, { readonly end: Promise<void>; taken: boolean }>();
  #inFlight = 0;

  constructor(limits: GateLimits, metrics: PushMetrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /**
   * Runs `work` when it may.
   * @throws ProblemError `rate_limited` or `unavailable`, both with Retry-After; whatever `work` throws
   */
  async run<T>({ tenantId, deviceId }: Author, work: () => Promise<T>): Promise<T> {
    // Neither part can hold a space.
    const device = `${tenantId} ${deviceId}`;
    // Without a running one there is no await: two that come at once must not both find nobody.
    for (let running = this.#devices.get(device); running; running = this.#devices.get(device)) {
      await this.#wait(running);
    }
    if (this.#inFlight >= this.#limits.inFlight) {
      this.#metrics.refused.inc({ reason: 'replica_busy' });
      throw new ProblemError('unavailable', 'Too many pushes at once', { headers: { 'retry-after': '1' } });
    }
    const { promise: end, resolve } = Promise.withResolvers<undefined>();
    const entry = { end, taken: false };
    this.#devices.set(device, entry);
    this.#inFlight += 1;
    try {
      return await work();
    } finally {
      this.#inFlight -= 1;
      if (this.#devices.get(device) === entry) this.#devices.delete(device);
      resolve(undefined);
    }
  }

  async #wait(running: { readonly end: Promise<void>; taken: boolean }): Promise<void> {
    if (!running.taken) {
      running.taken = true;
      if (await endsWithin(running.end, this.#limits.waitMs)) return;
      running.taken = false;
    }
    this.#metrics.refused.inc({ reason: 'device_busy' });
    throw new ProblemError('rate_limited', 'An earlier push of this device is still being worked on', {
      headers: { 'retry-after': '1' },
    });
  }
}

async function endsWithin(end: Promise<void>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, limitMs, false);
  const ended = await Promise.race([end.then(() => true as const), late]);
  clearTimeout(timer);
  return ended;
}
