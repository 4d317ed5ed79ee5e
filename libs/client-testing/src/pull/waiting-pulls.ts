import type { Clock } from '@sync/client';
import type { Device } from '../server/device.ts';
import { RefusedRequest } from '../server/refused-request.ts';
import type { Tenant } from '../server/tenant.ts';

/** PULL-21: for a ninth the oldest is answered, once it has waited for so long; a seventeenth is refused. */
const SIDE_BY_SIDE = 8;
const AT_MOST = 16;
const MAY_BE_REPLACED_MS = 5_000;
const RETRY_AFTER_S = 5;

export type Woken = 'news' | 'over' | 'replaced' | 'gone';

interface Waiting {
  readonly sinceMs: number;
  readonly wake: (why: Woken) => void;
}

/** Pulls of each device that wait for news, the oldest first. */
export class WaitingPulls {
  readonly #clock: Clock;
  readonly #byDevice = new Map<Device, Set<Waiting>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @returns why it goes on: something may be new, the time is over, another pull needs its place, or whoever
   * asked has gone
   * @throws RefusedRequest `rate_limited`
   */
  async wait(tenant: Tenant, device: Device, waitMs: number, signal?: AbortSignal): Promise<Woken> {
    const others = this.#byDevice.get(device) ?? new Set<Waiting>();
    this.#byDevice.set(device, others);
    if (others.size >= AT_MOST)
      throw new RefusedRequest('rate_limited', 'Too many pulls of this device are waiting', {
        retryAfter: RETRY_AFTER_S,
      });
    const [oldest] = others;
    const sinceMs = this.#clock.now();
    if (others.size >= SIDE_BY_SIDE && oldest && sinceMs - oldest.sinceMs >= MAY_BE_REPLACED_MS)
      oldest.wake('replaced');
    return new Promise((resolve) => {
      const waiting: Waiting = { sinceMs, wake };
      others.add(waiting);
      const stopListening = tenant.listen(() => wake('news'));
      const stopTimer = this.#clock.setTimer(waitMs, () => wake('over'));
      const leave = (): void => wake('gone');
      signal?.addEventListener('abort', leave);
      function wake(why: Woken): void {
        others.delete(waiting);
        stopListening();
        stopTimer();
        signal?.removeEventListener('abort', leave);
        resolve(why);
      }
    });
  }
}
