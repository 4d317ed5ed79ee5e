import type { EventEmitter } from 'node:events';
import { ProblemError } from '@sync/service-kit';
import { type Asker, FairLine, type Waiting } from './fair-line.ts';

/** Whoever waits longer had better come back: what holds the places up will not end soon. */
const WAIT_MS = 8_000;
/** A tenant has at most this share of the places, so that another one need not wait for the first to end. */
const SHARE_OF_ONE_TENANT = 0.75;
const RETRY_AFTER = { 'retry-after': '2' };

/** Bounds of {@link FairPlaces}. */
export interface PlacesOptions {
  readonly places: number;
  /** How many may wait, all tenants together. */
  readonly maxWaiting?: number;
  /** What those who wait may keep in memory. */
  readonly maxWaitingBytes?: number;
  readonly waitMs?: number;
  /** Told how long each one waited who got a place. */
  readonly onEnter?: (waitedMs: number) => void;
}

/** What somebody asks a place for. */
export interface Errand {
  readonly asker: Asker;
  /** Expected, in milliseconds of work. */
  readonly costMs?: number;
  /** In memory while it waits. */
  readonly bytes?: number;
  /** Whose `close` says that nobody waits for the answer any more. */
  readonly stream?: EventEmitter;
}

/** A place that somebody has. */
export interface Place {
  /** Monotonic. */
  readonly sinceMs: number;
  /**
   * Gives the place back; the second time it does nothing.
   * @param moreMs work beyond what was expected, or less than that
   */
  leave(moreMs?: number): void;
}

interface InLine extends Waiting {
  readonly sinceMs: number;
  /** Of its patience; none while it may still find a place at once. */
  timer: NodeJS.Timeout | undefined;
  readonly enter: (place: Place) => void;
  readonly refuse: (problem: ProblemError) => void;
}

/**
 * A bounded number of places; who finds none waits in a {@link FairLine}, for a bounded time. When the line
 * is too long, the tenant that has most of it loses its newest.
 */
export class FairPlaces {
  readonly #options: Required<PlacesOptions>;
  readonly #line = new FairLine<InLine>();
  #places: number;
  #taken = 0;

  constructor(options: PlacesOptions) {
    this.#options = {
      ...{ maxWaiting: Infinity, maxWaitingBytes: Infinity, waitMs: WAIT_MS, onEnter: () => undefined },
      ...options,
    };
    this.#places = options.places;
  }

  get places(): number {
    return this.#places;
  }

  /** When there are fewer than are taken, those who are inside finish first. */
  set places(places: number) {
    this.#places = places;
    this.#fill();
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#line.waiting;
  }

  /**
   * Runs `work` in a place; settles as it does.
   * @throws ProblemError as `enter`
   */
  async run<T>(asker: Asker, work: () => Promise<T>): Promise<T> {
    const place = await this.enter({ asker });
    try {
      return await work();
    } finally {
      place.leave();
    }
  }

  /**
   * @throws ProblemError `unavailable` when no place became free in time or nobody waits for it any more,
   * `rate_limited` when the line is too long and the asker's tenant has most of it
   */
  enter({ asker, costMs = 1, bytes = 0, stream }: Errand): Promise<Place> {
    return new Promise<Place>((resolve, reject) => {
      const settled = (): void => {
        clearTimeout(inLine.timer);
        stream?.off('close', gone);
      };
      const inLine: InLine = {
        ...{ asker, costMs, bytes, sinceMs: performance.now(), timer: undefined },
        enter: (place) => {
          settled();
          resolve(place);
        },
        refuse: (problem) => {
          settled();
          reject(problem);
        },
      };
      const gone = (): void => this.#dismiss(inLine, 'unavailable', 'Nobody waits for the answer any more');
      this.#line.add(inLine);
      if (this.#fill().has(inLine)) return;
      const late = (): void => this.#dismiss(inLine, 'unavailable', 'Too many requests wait here');
      inLine.timer = setTimeout(late, this.#options.waitMs);
      stream?.once('close', gone);
      this.#shorten();
    });
  }

  /** Lets in as many as there are places for. @returns who came in */
  #fill(): Set<InLine> {
    const entered = new Set<InLine>();
    const mostPerTenant = Math.ceil(this.#places * SHARE_OF_ONE_TENANT);
    while (this.#taken < this.#places) {
      const next = this.#line.take(mostPerTenant);
      if (!next) break;
      this.#taken += 1;
      entered.add(next);
      const sinceMs = performance.now();
      this.#options.onEnter(sinceMs - next.sinceMs);
      next.enter({ sinceMs, leave: this.#leaveOnce(next) });
    }
    return entered;
  }

  #leaveOnce({ asker }: InLine): Place['leave'] {
    let left = false;
    return (moreMs = 0) => {
      if (left) return;
      left = true;
      this.#taken -= 1;
      this.#line.end(asker, moreMs);
      this.#fill();
    };
  }

  #shorten(): void {
    const { maxWaiting, maxWaitingBytes } = this.#options;
    while (this.#line.waiting > maxWaiting) this.#dropNewest('waiting');
    while (this.#line.bytes > maxWaitingBytes) this.#dropNewest('bytes');
  }

  #dropNewest(by: 'waiting' | 'bytes'): void {
    const newest = this.#line.newestOfHeaviest(by);
    if (newest) this.#dismiss(newest, 'rate_limited', 'Too many requests of this tenant wait here');
  }

  #dismiss(one: InLine, code: 'unavailable' | 'rate_limited', detail: string): void {
    if (this.#line.leave(one)) one.refuse(new ProblemError(code, detail, { headers: RETRY_AFTER }));
  }
}
