import { type DeviceKey, deviceKeyText } from '../access/device-bindings.ts';
import { roomForOneMore } from '../edge/device-room.ts';
import { type News, scopeKeyText, userKeyText } from '../heads/gateway-news.ts';

/** Why a wait ended. */
export type WaitEnd = 'news' | 'timeout' | 'replaced' | 'revoked' | 'unbound' | 'draining' | 'gone';

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
  readonly sinceMs: number;
  leaving: boolean;
  timer: NodeJS.Timeout;
}

/** Why one more may not wait: the replica has no room, or the device has too many here. */
export type NoRoom = 'replica' | 'device';

/**
 * Long polls that wait for news. A device may have several: each window of an app has its own, and a retry
 * stands beside the request that its client gave up. Beyond that the oldest makes room. All of them are
 * looked at once a second in one go, so there is one timer per wait and none per look.
 */
export class WaitingPulls {
  readonly #max: number;
  /** Oldest first. */
  readonly #byDevice = new Map<string, Set<Waiter>>();
  readonly #byKey = new Map<string, Set<Waiter>>();
  #size = 0;
  #draining = false;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns null when one more of the device may wait */
  noRoom(device: DeviceKey): NoRoom | null {
    if (this.#size >= this.#max) return 'replica';
    return roomForOneMore(this.#of(device), performance.now()).kind === 'refused' ? 'device' : null;
  }

  /** Devices that wait, each once. */
  *devices(): Generator<DeviceKey> {
    for (const [first] of this.#byDevice.values()) if (first) yield first.options.device;
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
    this.#makeRoom(device);
    return new Promise<WaitEnd>((resolve) => {
      const keys = [
        `d${deviceKey}`,
        `u${userKeyText(device)}`,
        ...options.scopes.map((scope) => `s${scopeKeyText({ tenantId: device.tenantId, scope })}`),
      ];
      const leave = (): void => end('gone');
      const end = (why: WaitEnd): void => {
        clearTimeout(waiter.timer);
        options.signal.removeEventListener('abort', leave);
        this.#remove(deviceKey, waiter);
        resolve(why);
      };
      const timer = setTimeout(() => end('timeout'), options.waitMs);
      const waiter: Waiter = { options, keys, end, sinceMs: performance.now(), leaving: false, timer };
      options.signal.addEventListener('abort', leave);
      this.#size += 1;
      add(this.#byDevice, deviceKey, waiter);
      for (const key of keys) add(this.#byKey, key, waiter);
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
    for (const waiter of this.#all()) if (!waiter.options.isQuiet()) waiter.end('news');
  }

  /** Ends the waits of a device that is not to wait any more. */
  end(device: DeviceKey, why: 'revoked' | 'unbound'): void {
    for (const waiter of this.#of(device)) waiter.end(why);
  }

  /** Answers everybody now and lets nobody wait any more. */
  drain(): void {
    this.#draining = true;
    this.#endAll('draining');
  }

  #makeRoom(device: DeviceKey): void {
    const room = roomForOneMore(this.#of(device), performance.now());
    if (room.kind !== 'oldest') return;
    const { oldest, afterMs } = room;
    oldest.leaving = true;
    if (afterMs === 0) {
      oldest.end('replaced');
      return;
    }
    const untilItsTimeMs = oldest.sinceMs + oldest.options.waitMs - performance.now();
    if (untilItsTimeMs <= afterMs) return;
    clearTimeout(oldest.timer);
    oldest.timer = setTimeout(() => oldest.end('replaced'), afterMs);
  }

  #of(device: DeviceKey): Waiter[] {
    return [...(this.#byDevice.get(deviceKeyText(device)) ?? [])];
  }

  /** A copy: who is ended is removed. */
  #all(): Waiter[] {
    return [...this.#byDevice.values()].flatMap((waiters) => [...waiters]);
  }

  #endAll(why: WaitEnd): void {
    for (const waiter of this.#all()) waiter.end(why);
  }

  #wake(key: string): void {
    for (const waiter of [...(this.#byKey.get(key) ?? [])]) waiter.end('news');
  }

  #remove(deviceKey: string, waiter: Waiter): void {
    if (!remove(this.#byDevice, deviceKey, waiter)) return;
    this.#size -= 1;
    for (const key of waiter.keys) remove(this.#byKey, key, waiter);
  }
}

function add(index: Map<string, Set<Waiter>>, key: string, waiter: Waiter): void {
  const waiters = index.get(key) ?? new Set();
  waiters.add(waiter);
  index.set(key, waiters);
}

/** @returns whether it was there */
function remove(index: Map<string, Set<Waiter>>, key: string, waiter: Waiter): boolean {
  const waiters = index.get(key);
  const wasThere = waiters?.delete(waiter) ?? false;
  if (waiters?.size === 0) index.delete(key);
  return wasThere;
}
