import { type DeviceKey, deviceKeyText } from '../access/device-bindings.ts';
import { type News, scopeKeyText, userKeyText } from '../heads/gateway-news.ts';

/** Why a wait ended. */
export type WaitEnd = 'news' | 'timeout' | 'replaced' | 'revoked' | 'draining' | 'gone';

export interface WaitOptions {
  readonly device: DeviceKey;
  readonly scopes: readonly string[];
  readonly waitMs: number;
  /** Whether what the pull was answered from is certainly still so; asked after each sweep. */
  readonly isQuiet: () => boolean;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

interface Waiter {
  readonly options: WaitOptions;
  readonly keys: readonly string[];
  readonly end: (why: WaitEnd) => void;
}

/**
 * Long polls that wait for news. One per device: a newer one answers the older, which its client has given up or forgotten. All of them
 * are looked at once a second in one go, so there is one timer per wait and none per look.
 */
export class WaitingPulls {
  readonly #max: number;
  readonly #byDevice = new Map<string, Waiter>();
  readonly #byKey = new Map<string, Set<Waiter>>();
  #draining = false;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byDevice.size;
  }

  /** No place for another device that waits. */
  isFull(device: DeviceKey): boolean {
    return this.#byDevice.size >= this.#max && !this.#byDevice.has(deviceKeyText(device));
  }

  has(device: DeviceKey): boolean {
    return this.#byDevice.has(deviceKeyText(device));
  }

  /** Resolves when the wait is over; never rejects. */
  wait(options: WaitOptions): Promise<WaitEnd> {
    if (options.signal.aborted) return Promise.resolve('gone');
    if (this.#draining) return Promise.resolve('draining');
    const { device } = options;
    const deviceKey = deviceKeyText(device);
    this.#byDevice.get(deviceKey)?.end('replaced');
    return new Promise<WaitEnd>((resolve) => {
      const keys = [
        `d${deviceKey}`,
        `u${userKeyText(device)}`,
        ...options.scopes.map((scope) => `s${scopeKeyText({ tenantId: device.tenantId, scope })}`),
      ];
      const timer = setTimeout(() => end('timeout'), options.waitMs);
      const leave = (): void => end('gone');
      const end = (why: WaitEnd): void => {
        clearTimeout(timer);
        options.signal.removeEventListener('abort', leave);
        this.#remove(deviceKey, waiter);
        resolve(why);
      };
      const waiter: Waiter = { options, keys, end };
      options.signal.addEventListener('abort', leave);
      this.#byDevice.set(deviceKey, waiter);
      for (const key of keys) this.#listen(key, waiter);
    });
  }

  /** Wakes whoever the news may concern. */
  notice(news: News): void {
    if (news.everything) this.#endAll('news');
    for (const scope of news.scopes ?? []) this.#wake(`s${scopeKeyText(scope)}`);
    for (const user of news.users ?? []) this.#wake(`u${userKeyText(user)}`);
    for (const device of news.devices ?? []) this.#wake(`d${deviceKeyText(device)}`);
  }

  /** After a sweep: wakes those that stand on something no longer certain. */
  look(): void {
    for (const waiter of [...this.#byDevice.values()]) {
      if (!waiter.options.isQuiet()) waiter.end('news');
    }
  }

  revoke(device: DeviceKey): void {
    this.#byDevice.get(deviceKeyText(device))?.end('revoked');
  }

  /** Answers everybody now and lets nobody wait any more. */
  drain(): void {
    this.#draining = true;
    this.#endAll('draining');
  }

  #endAll(why: WaitEnd): void {
    for (const waiter of [...this.#byDevice.values()]) waiter.end(why);
  }

  #wake(key: string): void {
    for (const waiter of [...(this.#byKey.get(key) ?? [])]) waiter.end('news');
  }

  #listen(key: string, waiter: Waiter): void {
    const listeners = this.#byKey.get(key) ?? new Set();
    listeners.add(waiter);
    this.#byKey.set(key, listeners);
  }

  #remove(deviceKey: string, waiter: Waiter): void {
    if (this.#byDevice.get(deviceKey) === waiter) this.#byDevice.delete(deviceKey);
    for (const key of waiter.keys) {
      const listeners = this.#byKey.get(key);
      listeners?.delete(waiter);
      if (listeners?.size === 0) this.#byKey.delete(key);
    }
  }
}
