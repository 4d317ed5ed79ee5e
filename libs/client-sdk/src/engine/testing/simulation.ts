import type { Effect, EngineEvent, EngineState, FailureReason, LaneName, PhaseKind } from '../state.ts';
import { STOPPED, step } from '../step.ts';

/** A device whose requests end as `answer` says, on a clock of its own. */
export class Simulation {
  state: EngineState = STOPPED;
  nowMs = 1_000_000;
  readonly runs: { readonly lane: LaneName; readonly atMs: number; readonly waitMs: number }[] = [];
  readonly effects: Effect[] = [];
  readonly phases = new Set<PhaseKind>();
  #wakeAtMs: number | null = null;
  readonly #busy = new Map<LaneName, number>();

  dispatch(event: EngineEvent): void {
    if (event.kind === 'done' || event.kind === 'failed') this.#busy.delete(event.lane);
    const { state, effects } = step(this.state, event, this.nowMs);
    this.state = state;
    this.phases.add(state.phase.kind);
    for (const effect of effects) {
      this.effects.push(effect);
      if (effect.kind === 'abort') this.#busy.clear();
      if (effect.kind === 'wake') this.#wakeAtMs = effect.atMs;
      if (effect.kind !== 'run') continue;
      if (this.#busy.has(effect.lane)) throw new Error(`${effect.lane} runs twice`);
      this.#busy.set(effect.lane, effect.waitMs);
      this.runs.push({ lane: effect.lane, atMs: this.nowMs, waitMs: effect.waitMs });
    }
  }

  /** Lets every request end at once, and time pass when none is on its way. */
  runFor(durationMs: number, answer: (lane: LaneName, waitMs: number) => EngineEvent): void {
    const untilMs = this.nowMs + durationMs;
    while (this.nowMs < untilMs) {
      const [lane] = this.#busy.keys();
      if (lane !== undefined) {
        if (this.runs.length > 1_000) throw new Error('it spins');
        const waitMs = this.#busy.get(lane) ?? 0;
        this.#busy.delete(lane);
        const event = answer(lane, waitMs);
        // A pull that waits for news and is honest takes its time.
        if (event.kind === 'done' && waitMs > 0 && lane === 'pull' && !event.result.hadNews) {
          if (event.random >= 0.5) this.nowMs += waitMs;
        }
        this.dispatch(event);
      } else if (this.#wakeAtMs === null) {
        return;
      } else {
        this.nowMs = Math.max(this.nowMs, this.#wakeAtMs);
        this.#wakeAtMs = null;
        this.dispatch({ kind: 'woken' });
      }
    }
  }

  get busy(): LaneName[] {
    return [...this.#busy.keys()];
  }
}

/** A lane has ended; a pull with news has something to ack. */
export const done = (lane: LaneName, hadNews: boolean, isComplete = true, random = 0.9): EngineEvent => ({
  kind: 'done',
  lane,
  result: { hadNews, isComplete, wantsAck: hadNews && lane === 'pull' },
  random,
});
/** A lane has failed. */
export const failed = (
  lane: LaneName,
  kind: FailureReason,
  retryAfterMs: number | null = null,
): EngineEvent => ({
  kind: 'failed',
  lane,
  failure: { kind, retryAfterMs },
  random: 0,
});
