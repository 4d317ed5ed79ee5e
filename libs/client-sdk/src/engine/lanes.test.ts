import { describe, expect, it } from '@jest/globals';
import { LANES } from './state.ts';
import { Simulation, done, failed } from './testing/simulation.ts';

describe('with a socket', () => {
  const connect = (): Simulation => {
    const device = new Simulation();
    device.dispatch({ kind: 'start' });
    for (const name of LANES) device.dispatch(done(name, false));
    device.dispatch({ kind: 'socket_opened' });
    // The pull that was waiting already.
    device.dispatch(done('pull', true));
    device.dispatch(done('ack', true));
    while (device.busy.length > 0) device.dispatch(done('pull', false));
    return device;
  };
  const pulls = (device: Simulation, from: number) => device.runs.slice(from).map(({ waitMs }) => waitMs);

  it('pulls when it is told to, at once, and waits for nothing', () => {
    const device = connect();
    const before = device.runs.length;
    device.dispatch({ kind: 'hint' });
    expect(pulls(device, before)).toEqual([0]);
    device.dispatch({ kind: 'hint' });
    device.dispatch(done('pull', false));
    expect(pulls(device, before)).toEqual([0, 0]);
    device.dispatch(done('pull', false));
    expect([device.busy, device.state.phase.kind]).toEqual([[], 'live']);
  });

  it('looks by itself every five minutes', () => {
    const device = connect();
    const before = device.runs.length;
    device.runFor(3_600_000, (name) => done(name, false));
    expect(pulls(device, before).length).toBe(12);
  });

  it('waits for answers again when it is lost', () => {
    const device = connect();
    const before = device.runs.length;
    device.dispatch({ kind: 'socket_lost' });
    expect(pulls(device, before)).toEqual([25_000]);
  });

  it('asks twice a second at the most, however often it is told to', () => {
    const device = connect();
    const before = device.runs.length;
    device.runFor(60_000, (name) => {
      device.dispatch({ kind: 'hint' });
      return done(name, false);
    });
    expect(device.runs.length - before).toBeLessThanOrEqual(140);
  });

  it('asks no more often where it is told to while it asks', () => {
    const device = connect();
    const before = device.runs.length;
    const result = { hadNews: true, isComplete: false, hasMore: false, wantsAck: false };
    device.dispatch({ kind: 'hint' });
    device.runFor(60_000, (name) => {
      device.dispatch({ kind: 'hint' });
      return { kind: 'done', lane: name, result, random: 0 };
    });
    expect(device.runs.length - before).toBeLessThanOrEqual(140);
  });

  it('asks at once for what the server says that there is more of', () => {
    const device = connect();
    const before = device.runs.length;
    device.dispatch({ kind: 'hint' });
    for (let n = 0; n < 100; n += 1) device.dispatch(done('pull', true, false));
    expect(device.runs.slice(before).filter(({ lane: name }) => name === 'pull').length).toBe(101);
  });

  it('acks twice a second while it pushes, and at once when nothing is left to push', () => {
    const device = connect();
    device.nowMs += 60_000;
    const acks = () => device.runs.filter(({ lane: name }) => name === 'ack').length;
    const push = (isComplete: boolean): void => {
      const result = { hadNews: true, isComplete, wantsAck: true };
      device.dispatch({ kind: 'done', lane: 'push', result, random: 0 });
      if (device.busy.includes('ack')) device.dispatch(done('ack', true));
      device.nowMs += 10;
    };
    const before = acks();
    device.dispatch({ kind: 'wrote' });
    for (let n = 0; n < 100; n += 1) push(false);
    expect(acks() - before).toBe(2 + 1);
    push(true);
    expect(acks() - before).toBe(2 + 1 + 1);
  });

  it('does not pull sooner after a failure because of it', () => {
    const device = connect();
    device.dispatch({ kind: 'hint' });
    device.dispatch(failed('pull', 'busy', 30_000));
    const before = device.runs.length;
    device.dispatch({ kind: 'hint' });
    expect([device.runs.length - before, device.state.phase.kind]).toEqual([0, 'backing_off']);
  });

  it('has none any more after it was offline', () => {
    const device = connect();
    device.dispatch({ kind: 'network_lost' });
    device.dispatch({ kind: 'network_back' });
    device.dispatch(done('pull', false));
    expect(device.runs.at(-1)).toMatchObject({ lane: 'pull', waitMs: 25_000 });
  });
});
