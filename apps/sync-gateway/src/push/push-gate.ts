import { ProblemError } from '@sync/service-kit';
import type { Author } from './outcome/settlement.ts';
import type { PushMetrics } from './push-metrics.ts';

/** Bounds of {@link PushGate}. */
export interface GateLimits {
  /** Pushes that one replica works on at once. */
  readonly inFlight: number;
  /** Pushes of one device that may wait for the one before them. */
  readonly waitingPerDevice: number;
  /** How long one of them waits. */
  readonly waitMs: number;
}

/** Runs a wait, and settles as it does. */
export type Meanwhile = (wait: () => Promise<void>) => Promise<void>;

/** The pushes of a device that are here now, in the order in which they came. */
interface Line {
  /** Ends with the last of them. */
  tail: Promise<unknown>;
  length: number;
}

/**
 * Back-pressure of pushes. One push per device at a time, because the next one is usually a repetition of it
 * and then finds its outcomes; a few may wait in line, more are refused at once. Too many devices at once are
 * refused before any work is done for them.
 */
export class PushGate {
  readonly #limits: GateLimits;
  readonly #metrics: PushMetrics;
  readonly #lines = new Map<string, Line>();
  #inFlight = 0;

  constructor(limits: GateLimits, metrics: PushMetrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /**
   * Runs `work` when it may.
   * @param meanwhile runs the wait for the push before it: others may have what this one needs until then
   * @throws ProblemError `rate_limited` or `unavailable`, both with Retry-After; whatever `work` throws
   */
  async run<T>({ tenantId, deviceId }: Author, meanwhile: Meanwhile, work: () => Promise<T>): Promise<T> {
    // Neither part can hold a space.
    const device = `${tenantId} ${deviceId}`;
    const line = this.#lines.get(device) ?? { tail: Promise.resolve(), length: 0 };
    if (line.length > this.#limits.waitingPerDevice) throw this.#deviceBusy();
    this.#lines.set(device, line);
    const before = line.tail;
    const { promise: end, resolve } = Promise.withResolvers<undefined>();
    // Who gives up waiting keeps its place until its turn comes: nobody behind it may overtake the one before
    // it.
    line.tail = Promise.all([before, end]);
    line.length += 1;
    try {
      if (line.length > 1) {
        await meanwhile(async () => {
          if (!(await endsWithin(before, this.#limits.waitMs))) throw this.#deviceBusy();
        });
      }
      return await this.#work(work);
    } finally {
      resolve(undefined);
      line.length -= 1;
      if (line.length === 0) this.#lines.delete(device);
    }
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inFlight >= this.#limits.inFlight) {
      this.#metrics.refused.inc({ reason: 'replica_busy' });
      throw new ProblemError('unavailable', 'Too many pushes at once', { headers: { 'retry-after': '1' } });
    }
    this.#inFlight += 1;
    try {
      return await work();
    } finally {
      this.#inFlight -= 1;
    }
  }

  #deviceBusy(): ProblemError {
    this.#metrics.refused.inc({ reason: 'device_busy' });
    return new ProblemError('rate_limited', 'An earlier push of this device is still being worked on', {
      headers: { 'retry-after': '1' },
    });
  }
}

async function endsWithin(end: Promise<unknown>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, limitMs, false);
  const ended = await Promise.race([end.then(() => true as const), late]);
  clearTimeout(timer);
  return ended;
}
