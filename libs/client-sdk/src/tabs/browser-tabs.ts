import type { Seat, TabEvents, Tabs } from './tabs.ts';

/** As much of a LockManager as is needed; Node and React Native have other types, or none. */
interface Locks {
  request(
    name: string,
    options: { readonly steal?: boolean; readonly signal?: AbortSignal },
    whileHeld: () => Promise<void>,
  ): Promise<void>;
}

interface Channel {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

interface Events {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

interface Platform extends Partial<Events> {
  readonly navigator?: { readonly locks?: Locks };
  readonly BroadcastChannel?: new (name: string) => Channel;
  readonly document?: Events;
}

/** A page may have missed messages while it lay in the cache for going back, was frozen, or hidden. */
const RETURNS: readonly (readonly ['page' | 'document', string])[] = [
  ['page', 'pageshow'],
  ['document', 'resume'],
  ['document', 'visibilitychange'],
];

/**
 * Tabs and workers of one origin, by Web Locks and BroadcastChannel.
 * @returns null where there are none: in old browsers, and in pages without https
 */
export function browserTabs(): Tabs | null {
  const platform = globalThis as unknown as Platform;
  const locks = platform.navigator?.locks;
  const { BroadcastChannel } = platform;
  if (!locks || !BroadcastChannel) return null;
  return { join: (name, events) => new BrowserSeat(name, events, locks, new BroadcastChannel(name)) };
}

class BrowserSeat implements Seat {
  readonly #name: string;
  readonly #events: TabEvents;
  readonly #locks: Locks;
  readonly #channel: Channel;
  #isLeft = false;
  /** Ends what this seat holds, or waits for. */
  #end: (() => void) | null = null;

  constructor(name: string, events: TabEvents, locks: Locks, channel: Channel) {
    this.#name = name;
    this.#events = events;
    this.#locks = locks;
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      if (!this.#isLeft) events.heard(data);
    };
    this.#watch('addEventListener');
  }

  post(message: unknown): void {
    if (!this.#isLeft) this.#channel.postMessage(message);
  }

  standInLine(): void {
    if (!this.#end) this.#request({});
  }

  steal(): void {
    this.letGo();
    this.#request({ steal: true });
  }

  letGo(): void {
    this.#end?.();
    this.#end = null;
  }

  leave(): void {
    this.#isLeft = true;
    this.letGo();
    this.#watch('removeEventListener');
    this.#channel.close();
  }

  #request(options: { readonly steal?: boolean }): void {
    const waiting = new AbortController();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let isHeld = false;
    const end = (): void => {
      release();
      waiting.abort();
    };
    this.#end = end;
    const isOver = (): boolean => this.#end !== end;
    // A request that steals may have no signal.
    const how = options.steal ? options : { signal: waiting.signal };
    const whileHeld = async (): Promise<void> => {
      isHeld = true;
      if (!isOver()) this.#events.granted();
      await held;
    };
    this.#locks.request(this.#name, how, whileHeld).catch(() => {
      if (isOver()) return;
      this.#end = null;
      if (isHeld) this.#events.robbed();
    });
  }

  #watch(how: 'addEventListener' | 'removeEventListener'): void {
    const platform = globalThis as unknown as Platform;
    for (const [where, type] of RETURNS) {
      const target = where === 'page' ? platform : platform.document;
      target?.[how]?.(type, this.#returned);
    }
  }

  readonly #returned = (): void => this.#events.returned();
}
