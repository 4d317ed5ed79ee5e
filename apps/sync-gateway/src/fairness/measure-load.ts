import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { PoolWaits } from './pool-waits.ts';
import type { Strain } from './shed-load.ts';

/** How often the loop is looked at. Twenty times as often would cost as much as the whole idle platform. */
const RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;
const LOOK_EVERY_MS = 500;

const NO_STRAIN: Strain = { loopDelayMs: 0, poolWaitMs: 0 };

/**
 * Measures for how long the gateway itself is waited for, and says so twice a second while there are
 * requests, and afterwards until nobody is refused for it any more. Then it stops and costs nothing.
 */
export class MeasureLoad {
  readonly #poolWaits: PoolWaits;
  readonly #onLook: (strain: Strain) => boolean;
  readonly #loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #timer: NodeJS.Timeout | undefined;
  #asked = false;

  /** @param onLook told of each look; true: nothing is left of what earlier ones led to */
  constructor(poolWaits: PoolWaits, onLook: (strain: Strain) => boolean) {
    this.#poolWaits = poolWaits;
    this.#onLook = onLook;
  }

  /** A request has come. */
  noteRequest(): void {
    this.#asked = true;
    if (this.#timer) return;
    this.#loop.reset();
    this.#loop.enable();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#loop.disable();
  }

  #look(): void {
    const poolWaitMs = this.#poolWaits.takeMeanMs();
    const loopDelayMs = this.#loop.count === 0 ? 0 : Math.max(0, this.#loop.mean / NS_PER_MS - RESOLUTION_MS);
    this.#loop.reset();
    const asked = this.#asked;
    this.#asked = false;
    // What was measured last must not stand for a process that has nothing to do.
    const isCalm = this.#onLook(asked ? { loopDelayMs, poolWaitMs } : NO_STRAIN);
    if (!asked && isCalm) this.stop();
  }
}
