import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CONSEQUENCES } from './lanes.ts';
import { STOPPED, TRANSITIONS, step } from './step.ts';
import {
  type EngineEvent,
  type EventKind,
  type FailureReason,
  LANES,
  type LaneName,
  type PhaseKind,
} from './state.ts';
import { Simulation, done, failed } from './testing/simulation.ts';

const RUNNING: readonly PhaseKind[] = ['connecting', 'syncing', 'live', 'backing_off'];
const KINDS = Object.keys(CONSEQUENCES) as FailureReason[];

const result = fc.record({ hadNews: fc.boolean(), isComplete: fc.boolean(), wantsAck: fc.boolean() });
const lane = fc.constantFrom(...LANES);
const random = fc.double({ min: 0, max: 0.999, noNaN: true });
const anyEvent: fc.Arbitrary<EngineEvent> = fc.oneof(
  fc.constantFrom<EngineEvent>(
    { kind: 'start' },
    { kind: 'stop' },
    { kind: 'force_offline' },
    { kind: 'allow_network' },
    { kind: 'network_lost' },
    { kind: 'network_back' },
    { kind: 'wrote' },
    { kind: 'hint' },
    { kind: 'woken' },
    { kind: 'new_token' },
    { kind: 'storage_lost', reason: 'storage_cleared' },
    { kind: 'storage_rebuilt' },
    { kind: 'socket_opened' },
    { kind: 'socket_lost' },
  ),
  fc.record({ kind: fc.constant('done' as const), lane, result, random }),
  fc.record({
    kind: fc.constant('failed' as const),
    lane,
    failure: fc.record({
      kind: fc.constantFrom(...KINDS),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 60_000 })),
    }),
    random,
  }),
);

describe('for any history', () => {
  const history = fc.array(fc.tuple(anyEvent, fc.integer({ min: 0, max: 40_000 })), { maxLength: 60 });

  it('runs each lane once at a time, and none where the device rests', () => {
    fc.assert(
      fc.property(history, (events) => {
        const device = new Simulation();
        for (const [event, pauseMs] of events) {
          // Only what is on its way can end.
          if ((event.kind === 'done' || event.kind === 'failed') && !device.busy.includes(event.lane))
            continue;
          device.nowMs += pauseMs;
          device.dispatch(event);
          if (!RUNNING.includes(device.state.phase.kind)) expect(device.busy).toEqual([]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('has something to wait for: a lane that runs, a time, or somebody who has to act', () => {
    fc.assert(
      fc.property(history, (events) => {
        let state = STOPPED;
        let nowMs = 0;
        let wakeAtMs: number | null = null;
        for (const [event, pauseMs] of events) {
          nowMs += pauseMs;
          const after = step(state, event, nowMs);
          state = after.state;
          for (const effect of after.effects) if (effect.kind === 'wake') wakeAtMs = effect.atMs;
          if (!RUNNING.includes(state.phase.kind)) continue;
          const isBusy = LANES.some((name) => state.lanes[name].busySinceMs !== null);
          expect(isBusy || (wakeAtMs ?? -1) >= 0).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('never spins', () => {
  it.each(KINDS)('whatever fails at once with %s', (kind) => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch({ kind: 'wrote' });
    device.runFor(60_000, (name) => failed(name, kind));
    // One second, doubled each time, half of it by chance: at most eight a minute and lane.
    expect(device.runs.length).toBeLessThanOrEqual(3 * 8);
  });

  it.each([
    ['answers of waiting pulls that come at once and bring nothing', true],
    ['pulls without news that say that there is more', false],
  ])('at %s', (_what, isComplete) => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    // random below 0.5: the simulation does not wait.
    const answer = (name: LaneName): EngineEvent => done(name, false, isComplete, 0.1);
    device.runFor(60_000, answer);
    expect(device.runs.filter((run) => run.lane === 'pull').length).toBeLessThanOrEqual(10);
  });

  it('at news that come at once, always', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.runFor(60_000, (name) => done(name, name === 'pull'));
    const pulls = device.runs.filter((run) => run.lane === 'pull').length;
    // Twice a second, and a few quick ones before.
    expect([pulls > 100, pulls <= 135]).toEqual([true, true]);
    expect(device.state.phase).toEqual({ kind: 'live' });
  });

  it('at pushes that are answered without an outcome', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch({ kind: 'wrote' });
    device.runFor(60_000, (name) => (name === 'push' ? done(name, false, false) : done(name, false)));
    expect(device.runs.filter((run) => run.lane === 'push').length).toBeLessThanOrEqual(8);
  });
});

describe('a day of a device', () => {
  it('connects, syncs, is live, and waits for news', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    expect(device.state.phase).toEqual({ kind: 'connecting', reason: 'started' });
    device.dispatch({
      kind: 'done',
      lane: 'pull',
      result: { hadNews: true, isComplete: false, wantsAck: true, syncReason: 'first_sync' },
      random: 0,
    });
    expect(device.state.phase).toEqual({ kind: 'syncing', reason: 'first_sync' });
    device.dispatch(done('pull', true));
    expect(device.state.phase).toEqual({ kind: 'live' });
    expect(device.runs.at(-1)).toMatchObject({ lane: 'pull', waitMs: 25_000 });
  });

  it('goes on pulling while a push has to wait as long as it was told', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch(failed('push', 'busy', 30_000));
    device.dispatch(done('pull', true));
    expect(device.state.phase).toEqual({ kind: 'live' });
    const { push } = device.state.lanes;
    expect([push.reason, push.notBeforeMs - device.nowMs >= 30_000]).toEqual(['busy', true]);
  });

  it('forgets the pauses of another network, and keeps those of the server', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch(failed('pull', 'offline'));
    device.dispatch(failed('push', 'busy', 30_000));
    expect(device.state.phase.kind).toBe('backing_off');
    const before = device.runs.length;
    device.dispatch({ kind: 'network_back' });
    expect(device.runs.slice(before).map((run) => run.lane)).toEqual(['pull']);
  });

  it('waits for a token, and tries by itself now and then', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch(failed('pull', 'needs_auth'));
    expect(device.state.phase.kind).toBe('needs_auth');
    expect(device.busy).toEqual([]);
    device.runFor(3_600_000, (name) => failed(name, 'needs_auth'));
    const tries = new Set(device.runs.map((run) => run.atMs)).size;
    expect([tries > 10, tries < 50]).toEqual([true, true]);
    device.dispatch(failed('pull', 'needs_auth'));
    device.dispatch({ kind: 'new_token' });
    expect(device.state.phase).toEqual({ kind: 'connecting', reason: 'new_token' });
  });

  it('still tries by itself where a timer comes early', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch(failed('pull', 'needs_auth'));
    const before = device.effects.length;
    device.dispatch({ kind: 'woken' });
    expect(device.effects.slice(before)).toEqual([{ kind: 'wake', atMs: expect.any(Number) }]);
    expect(device.state.phase.kind).toBe('needs_auth');
  });

  it('removes its data when it is revoked, and keeps it when it is only not bound', () => {
    const wiped = (kind: FailureReason): boolean => {
      const device = new Simulation();
      device.dispatch({ kind: 'start' });
      device.dispatch(failed('pull', kind));
      expect(device.state.phase.kind).toBe('revoked');
      device.dispatch({ kind: 'wrote' });
      expect(device.busy).toEqual([]);
      return device.effects.some((effect) => effect.kind === 'wipe');
    };
    expect([wiped('revoked'), wiped('not_bound')]).toEqual([true, false]);
  });

  it('sends less when it was too much, and drops cursors that are not taken', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch(failed('push', 'too_large'));
    device.dispatch(failed('pull', 'cursor_invalid'));
    expect(device.effects).toContainEqual({ kind: 'send_less', lane: 'push' });
    expect(device.effects).toContainEqual({ kind: 'drop_cursors', scopes: null });
  });

  it('drops only those cursors that the server names', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    const failure = { kind: 'cursor_invalid' as const, retryAfterMs: null, scopes: ['course:c1'] };
    device.dispatch({ kind: 'failed', lane: 'pull', failure, random: 0 });
    expect(device.effects).toContainEqual({ kind: 'drop_cursors', scopes: ['course:c1'] });
  });

  it('stays offline while it is told to, whatever the network does', () => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    device.dispatch({ kind: 'force_offline' });
    for (const kind of ['network_lost', 'network_back', 'wrote', 'start'] as const) device.dispatch({ kind });
    expect(device.state.phase).toEqual({ kind: 'offline', reason: 'forced' });
    device.dispatch({ kind: 'allow_network' });
    expect(device.state.phase).toEqual({ kind: 'connecting', reason: 'network_back' });
  });
});

it('has a cell for every phase and event', () => {
  const events = Object.keys(TRANSITIONS.stopped) as EventKind[];
  expect(events.length).toBe(16);
  for (const row of Object.values(TRANSITIONS)) expect(Object.keys(row).sort()).toEqual([...events].sort());
});
