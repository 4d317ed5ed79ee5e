/** Time and timers: those of the device, or such that a test turns by hand. */
export interface Clock {
  /** Milliseconds since 1970 as the device believes: it may be wrong by years, and jump. */
  now(): number;
  /**
   * Runs `run` once, after so many milliseconds.
   * @returns a function that cancels it
   */
  setTimer(ms: number, run: () => void): () => void;
}

/** Beyond it platforms count from the beginning, and call at once. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer: (ms, run) => {
    const timer = setTimeout(run, Math.min(ms, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
