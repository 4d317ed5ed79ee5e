import {
  CONSEQUENCES,
  IDLE,
  LOOK_MS,
  MIN_POLL_MS,
  pause,
  rested,
  startLanes,
  wanted,
  withoutPause,
} from './lanes.ts';
import type {
  ConnectReason,
  Effect,
  EngineEvent,
  EngineState,
  EventKind,
  EventOf,
  Lane,
  LaneName,
  Phase,
  PhaseKind,
  Step,
} from './state.ts';
import { LANES } from './state.ts';

type Handler<E extends EventKind> = (state: EngineState, event: EventOf<E>, nowMs: number) => Step;
type Row = { readonly [E in EventKind]: Handler<E> };

/**
 * @param random lanes that fail at the same time pause for different times; in [0, 1)
 * @returns the engine of a device that was not started
 */
export const STOPPED: EngineState = {
  phase: { kind: 'stopped' },
  lanes: { ack: IDLE, push: IDLE, pull: IDLE },
  isForcedOffline: false,
  hasNetwork: true,
  hasSocket: false,
  isAtHead: false,
  hasMore: true,
  syncReason: 'first_sync',
};

/** What happens next: pure, and total in its types. */
export function step(state: EngineState, event: EngineEvent, nowMs: number): Step {
  // Each cell takes exactly the event that it stands under.
  const handler = TRANSITIONS[state.phase.kind][event.kind] as Handler<EventKind>;
  return handler(state, event, nowMs);
}

const stay = (state: EngineState): Step => ({ state, effects: [] });

function halt(state: EngineState, phase: Phase, ...more: Effect[]): Step {
  const lanes = mapLanes(state, (lane) => ({ ...lane, busySinceMs: null, isWanted: true }));
  const halted = { ...state, phase, lanes, isAtHead: false, hasMore: true, hasSocket: false };
  return { state: halted, effects: [{ kind: 'abort' }, ...more] };
}

function connect(state: EngineState, reason: ConnectReason, nowMs: number): Step {
  if (state.isForcedOffline) return halt(state, { kind: 'offline', reason: 'forced' });
  if (!state.hasNetwork) return halt(state, { kind: 'offline', reason: 'no_network' });
  // What waits on the server or in the outbox is not known: each lane looks for itself.
  const lanes = mapLanes(state, (lane) => withoutPause({ ...lane, isWanted: true }));
  return run({ ...state, phase: { kind: 'connecting', reason }, lanes }, nowMs);
}

/** Starts what may start, and says where that leaves the device. */
function run(state: EngineState, nowMs: number): Step {
  const { state: started, effects } = startLanes(state, nowMs);
  return { state: { ...started, phase: phaseOf(started, nowMs) }, effects };
}

function phaseOf({ phase, lanes, isAtHead, syncReason }: EngineState, nowMs: number): Phase {
  const { pull } = lanes;
  if (pull.busySinceMs === null && pull.notBeforeMs > nowMs && pull.reason) {
    return { kind: 'backing_off', reason: pull.reason, untilMs: pull.notBeforeMs };
  }
  if (phase.kind === 'backing_off') return { kind: 'connecting', reason: 'trying_again' };
  if (phase.kind === 'connecting') return phase;
  return isAtHead ? { kind: 'live' } : { kind: 'syncing', reason: syncReason };
}

function done(state: EngineState, { lane, result, random }: EventOf<'done'>, nowMs: number): Step {
  const before = state.lanes[lane];
  const isSpinning = !result.hadNews && !mayBeEmpty(before, lane, state, result.isComplete, nowMs);
  const after = isSpinning
    ? pause(before, { kind: 'no_progress', retryAfterMs: null }, nowMs, random)
    : next(before, lane, result.isComplete, state.hasSocket, nowMs);
  const lanes = { ...state.lanes, [lane]: after };
  if (result.wantsAck) lanes.ack = { ...lanes.ack, isWanted: true };
  if (lane !== 'pull') return run({ ...state, lanes }, nowMs);
  const { isComplete: isAtHead, hasMore = !isAtHead, syncReason = state.syncReason } = result;
  // Answered: whatever it was before, it syncs or is live now.
  const phase: Phase = isAtHead ? { kind: 'live' } : { kind: 'syncing', reason: syncReason };
  return run({ ...state, phase, lanes, isAtHead, hasMore, syncReason }, nowMs);
}

/** A lane that was done: what it does next, and when. */
function next(before: Lane, name: LaneName, isComplete: boolean, hasSocket: boolean, nowMs: number): Lane {
  const lane = rested(before);
  if (before.isWanted) return { ...lane, isWanted: true };
  switch (name) {
    case 'ack':
      return lane;
    case 'push':
      return { ...lane, isWanted: !isComplete };
    case 'pull':
      return { ...lane, isWanted: true, notBeforeMs: hasSocket && isComplete ? nowMs + LOOK_MS : 0 };
  }
}

/** Whether an answer without news is none that would be asked for again at once, for ever. */
function mayBeEmpty(
  { busySinceMs }: Lane,
  name: LaneName,
  { isAtHead, hasSocket }: EngineState,
  isComplete: boolean,
  nowMs: number,
): boolean {
  switch (name) {
    case 'ack':
      return true;
    case 'push':
      return isComplete;
    case 'pull':
      // The first one does not wait, and none that a socket has asked for; others were to wait for news.
      return isComplete && (!isAtHead || hasSocket || nowMs - (busySinceMs ?? nowMs) >= MIN_POLL_MS);
  }
}

function failed(state: EngineState, { lane, failure, random }: EventOf<'failed'>, nowMs: number): Step {
  const consequence = CONSEQUENCES[failure.kind];
  const paused = pause(state.lanes[lane], failure, nowMs, random);
  const waiting: EngineState = { ...state, lanes: { ...state.lanes, [lane]: paused } };
  switch (consequence) {
    case 'wait':
      return run(waiting, nowMs);
    case 'send_less':
      return withEffect(run(waiting, nowMs), { kind: 'send_less', lane });
    case 'drop_cursors':
      return withEffect(run(waiting, nowMs), { kind: 'drop_cursors', scopes: failure.scopes ?? null });
    case 'needs_auth': {
      const untilMs = paused.notBeforeMs;
      const phase: Phase = { kind: 'needs_auth', reason: 'no_valid_token', untilMs };
      // No lane gets on without a token.
      return halt({ ...state, lanes: mapLanes(state, () => paused) }, phase, { kind: 'wake', atMs: untilMs });
    }
    case 'revoked':
      return halt(state, { kind: 'revoked', reason: 'device_revoked' }, { kind: 'wipe' });
    case 'not_bound':
      return halt(state, { kind: 'revoked', reason: 'device_not_bound' });
  }
}

function withEffect({ state, effects }: Step, effect: Effect): Step {
  return { state, effects: [effect, ...effects] };
}

function want(lane: LaneName): (state: EngineState, event: unknown, nowMs: number) => Step {
  return (state, _event, nowMs) => run(noteWanted(state, lane), nowMs);
}

function noteWanted(state: EngineState, lane: LaneName): EngineState {
  return { ...state, lanes: { ...state.lanes, [lane]: wanted(state.lanes[lane]) } };
}

function mapLanes(state: EngineState, change: (lane: Lane) => Lane): Record<LaneName, Lane> {
  const [ack, push, pull] = LANES.map((name) => change(state.lanes[name])) as [Lane, Lane, Lane];
  return { ack, push, pull };
}

const stop = (state: EngineState): Step => halt(state, { kind: 'stopped' });
const begin = (state: EngineState, _event: unknown, nowMs: number): Step => connect(state, 'started', nowMs);
const networkBack = (state: EngineState, _event: unknown, nowMs: number): Step =>
  connect({ ...state, hasNetwork: true }, 'network_back', nowMs);
const tryAgain = (state: EngineState, _event: unknown, nowMs: number): Step =>
  connect(state, 'trying_again', nowMs);
const goOn = (state: EngineState, _event: unknown, nowMs: number): Step => run(state, nowMs);
const lose = (state: EngineState, { reason }: EventOf<'storage_lost'>): Step =>
  halt(state, { kind: 'needs_resync', reason }, { kind: 'rebuild', reason });

/** What is noted in every phase, and acted upon when the device may. */
const NOTED = {
  force_offline: (state) => stay({ ...state, isForcedOffline: true }),
  allow_network: (state) => stay({ ...state, isForcedOffline: false }),
  network_lost: (state) => stay({ ...state, hasNetwork: false }),
  network_back: (state) => stay({ ...state, hasNetwork: true }),
  wrote: (state) => stay(noteWanted(state, 'push')),
  hint: (state) => stay(noteWanted(state, 'pull')),
  // One that was closed with everything else.
  socket_opened: stay,
  socket_lost: stay,
} satisfies Partial<Row>;

/** Nothing is on its way: what was given up may still answer, and is passed over. */
const RESTING = {
  ...NOTED,
  start: stay,
  stop,
  done: stay,
  failed: stay,
  woken: stay,
  new_token: stay,
  storage_lost: lose,
  storage_rebuilt: stay,
} satisfies Row;

const RUNNING = {
  start: stay,
  stop,
  force_offline: (state) => connect({ ...state, isForcedOffline: true }, 'trying_again', 0),
  allow_network: (state) => stay({ ...state, isForcedOffline: false }),
  network_lost: (state) => connect({ ...state, hasNetwork: false }, 'trying_again', 0),
  // The network has changed: a pause that was for the old one is over.
  network_back: networkBack,
  wrote: want('push'),
  hint: want('pull'),
  socket_opened: (state, _event, nowMs) => run(noteWanted({ ...state, hasSocket: true }, 'pull'), nowMs),
  socket_lost: (state, _event, nowMs) => run(noteWanted({ ...state, hasSocket: false }, 'pull'), nowMs),
  done,
  failed,
  woken: goOn,
  new_token: goOn,
  storage_lost: lose,
  // Something else than the engine did it: what is on its way is for the store before.
  storage_rebuilt: (state, _event, nowMs) => {
    const halted = halt(state, state.phase);
    const { state: after, effects } = connect(halted.state, 'storage_rebuilt', nowMs);
    return { state: after, effects: [...halted.effects, ...effects] };
  },
} satisfies Row;

/** For every phase and every event what happens: it does not compile with a cell missing. */
export const TRANSITIONS: { readonly [P in PhaseKind]: Row } = {
  stopped: { ...RESTING, start: begin, storage_lost: stay },
  offline: {
    ...RESTING,
    allow_network: (state, _event, nowMs) =>
      connect({ ...state, isForcedOffline: false }, 'network_back', nowMs),
    network_back: networkBack,
  },
  connecting: RUNNING,
  syncing: RUNNING,
  live: RUNNING,
  backing_off: { ...RUNNING, new_token: tryAgain },
  needs_auth: {
    ...RESTING,
    force_offline: RUNNING.force_offline,
    network_lost: RUNNING.network_lost,
    woken: (state, event, nowMs) =>
      state.phase.kind === 'needs_auth' && state.phase.untilMs > nowMs
        ? // Timers may come early, by a millisecond in Node, and nothing else would wake it.
          { state, effects: [{ kind: 'wake', atMs: state.phase.untilMs }] }
        : tryAgain(state, event, nowMs),
    new_token: (state, _event, nowMs) => connect(forgetFailures(state), 'new_token', nowMs),
  },
  revoked: { ...RESTING, start: begin, storage_lost: stay },
  needs_resync: {
    ...RESTING,
    storage_lost: stay,
    storage_rebuilt: (state, _event, nowMs) => connect(state, 'storage_rebuilt', nowMs),
  },
};

function forgetFailures(state: EngineState): EngineState {
  return {
    ...state,
    lanes: mapLanes(state, (lane) => ({ ...lane, notBeforeMs: 0, failures: 0, reason: null })),
  };
}
