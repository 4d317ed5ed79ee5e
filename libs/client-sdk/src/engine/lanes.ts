import { backoffMs } from '@sync/domain';
import type { FailureKind } from '../net/transport.ts';
import type { Effect, EngineState, FailureReason, Lane, LaneFailure, LaneName } from './state.ts';
import { LANES } from './state.ts';

/** How long a pull waits for news: below what proxies allow, and half of what the protocol does. */
export const POLL_MS = 25_000;
/** A pull that was to wait and is answered with nothing sooner than this has not waited. */
export const MIN_POLL_MS = 1_000;
/** With a socket a device asks by itself as well: a line that died without a word looks like a quiet one. */
export const LOOK_MS = 300_000;
/**
 * A device pulls again at once, so many times in a row, where no pull has said that there is more. After that
 * it begins a pull once in `PACE_MS` for as long as it is busy: whoever writes all the time is seen a little
 * later, and a phone is not kept awake by a server that always has something.
 */
const QUICK_PULLS = 8;
/**
 * The same for acks while there is more to push. One for each of many pushes costs the server a third of the
 * push, and one has room for the outcomes of all of them. When nothing is to be pushed any more they go at
 * once: pulls bring outcomes until they are acked.
 */
const QUICK_ACKS = 1;
const PACE_MS = 500;
/** Pauses of a lane that fails: 1 s, 2 s, 4 s … 5 min, the upper half of each by chance. */
const PAUSE = { baseMs: 1_000, capMs: 300_000 };

export const IDLE: Lane = {
  isWanted: false,
  busySinceMs: null,
  notBeforeMs: 0,
  failures: 0,
  startedMs: 0,
  quickRuns: 0,
  reason: null,
};

/**
 * What a failure means for the whole device.
 *
 * | consequence    |                                                        |
 * | -------------- | ------------------------------------------------------ |
 * | `wait`         | this lane pauses                                       |
 * | `send_less`    | this lane pauses, and sends less then                  |
 * | `drop_cursors` | this lane pauses, and begins the scopes anew           |
 * | `needs_auth`   | nothing goes on without another token                  |
 * | `revoked`      | nothing goes on, and what is stored goes               |
 * | `not_bound`    | nothing goes on                                        |
 */
type Consequence = 'wait' | 'send_less' | 'drop_cursors' | 'needs_auth' | 'revoked' | 'not_bound';

export const CONSEQUENCES: Readonly<Record<FailureReason, Consequence>> = {
  offline: 'wait',
  busy: 'wait',
  garbage: 'wait',
  wrong_clock: 'wait',
  storage_full: 'wait',
  storage_failed: 'wait',
  no_progress: 'wait',
  refused: 'send_less',
  too_large: 'send_less',
  cursor_invalid: 'drop_cursors',
  // The engine forgets what it gave up itself: this is somebody else's doing.
  aborted: 'wait',
  needs_auth: 'needs_auth',
  revoked: 'revoked',
  not_bound: 'not_bound',
} satisfies Record<FailureKind, Consequence> & Record<FailureReason, Consequence>;

/** It was done: nothing is left of what failed before. */
export function rested({ startedMs, quickRuns }: Lane): Lane {
  return { ...IDLE, startedMs, quickRuns };
}

/** It has something to do, and does it at once unless it pauses because it failed. */
export function wanted(lane: Lane): Lane {
  return { ...lane, isWanted: true, notBeforeMs: lane.reason === null ? 0 : lane.notBeforeMs };
}

function started(lane: Lane, nowMs: number): Lane {
  const paces = Math.floor((nowMs - lane.startedMs) / PACE_MS);
  const quickRuns = Math.max(0, lane.quickRuns + 1 - paces);
  return { ...lane, isWanted: false, busySinceMs: nowMs, startedMs: nowMs, quickRuns };
}

/** The lane after a failure: it pauses, longer each time, and never shorter than the server asked. */
export function pause(lane: Lane, failure: LaneFailure, nowMs: number, random: number): Lane {
  const failures = lane.failures + 1;
  const pauseMs = Math.max(backoffMs(failures, PAUSE, random), jittered(failure.retryAfterMs ?? 0, random));
  const { kind: reason } = failure;
  return { ...rested(lane), isWanted: true, notBeforeMs: nowMs + pauseMs, failures, reason };
}

/** As `write-a-client.md` asks: up to half of it more, so that devices do not come back together. */
function jittered(retryAfterMs: number, random: number): number {
  return Math.round(retryAfterMs * (1 + random / 2));
}

/** Of another network: what failed without an answer may be tried at once. */
export function withoutPause(lane: Lane): Lane {
  const mayTry = lane.reason === 'offline' || lane.reason === 'garbage';
  return mayTry ? { ...lane, notBeforeMs: 0 } : wanted(lane);
}

function isPaced(name: LaneName, { lanes, hasMore }: EngineState): boolean {
  const { ack, push, pull } = lanes;
  switch (name) {
    case 'ack':
      return (push.isWanted || push.busySinceMs !== null) && ack.quickRuns >= QUICK_ACKS;
    case 'push':
      return false;
    case 'pull':
      return !hasMore && pull.quickRuns >= QUICK_PULLS;
  }
}

/** Starts every lane that has something to do and may, and says when the next one may. */
export function startLanes(state: EngineState, nowMs: number): { state: EngineState; effects: Effect[] } {
  const effects: Effect[] = [];
  const lanes: Record<LaneName, Lane> = { ...state.lanes };
  let wakeAtMs = Infinity;
  for (const name of LANES) {
    const lane = lanes[name];
    if (!lane.isWanted || lane.busySinceMs !== null) continue;
    const fromMs = Math.max(lane.notBeforeMs, isPaced(name, state) ? lane.startedMs + PACE_MS : 0);
    if (fromMs > nowMs) {
      wakeAtMs = Math.min(wakeAtMs, fromMs);
      continue;
    }
    lanes[name] = started(lane, nowMs);
    const isToWait = name === 'pull' && state.isAtHead && !state.hasSocket && lane.failures === 0;
    const waitMs = isToWait ? POLL_MS : 0;
    effects.push({ kind: 'run', lane: name, waitMs });
  }
  if (wakeAtMs < Infinity) effects.push({ kind: 'wake', atMs: wakeAtMs });
  return { state: { ...state, lanes }, effects };
}
