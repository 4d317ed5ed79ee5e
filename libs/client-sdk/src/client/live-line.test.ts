import { describe, expect, it } from '@jest/globals';
import type { PullRequest } from '@sync/protocol';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { failure } from '../net/failure.ts';
import { makeDevice, pass, quiet } from './testing/make-device.ts';
import type { ModelTransport } from './testing/model-transport.ts';

describe('with a socket', () => {
  const makeListening = async () => {
    const device = await makeDevice({ hasSocket: true });
    await device.notes.load();
    device.client.start();
    await quiet();
    return { ...device, say: () => device.transport.listener };
  };
  const waits = ({ calls }: ModelTransport): number[] =>
    calls.filter(({ path }) => path.endsWith('pull')).map(({ body }) => (body as PullRequest).waitMs ?? 0);

  it('pulls when it is told to, and waits for nothing', async () => {
    const { transport, notes, say } = await makeListening();
    say()?.onState({ kind: 'open' });
    transport.server.changeItself('before', { value: 1 });
    // Ends the pull that was waiting when it opened.
    transport.news();
    await quiet();
    const before = transport.calls.length;
    transport.server.changeItself('a', { value: 2 });
    await quiet();
    expect(notes.get('a')).toBeNull();
    say()?.onNotice([SCOPE, 'course:unknown']);
    await quiet();
    expect([notes.get('before')?.data, notes.get('a')?.data]).toEqual([{ value: 1 }, { value: 2 }]);
    const since = waits(transport).slice(-1);
    expect([transport.calls.length > before, since]).toEqual([true, [0]]);
  });

  it('waits for answers again when it is lost', async () => {
    const { client, transport, notes, say } = await makeListening();
    say()?.onState({ kind: 'open' });
    transport.news();
    await quiet();
    say()?.onState({ kind: 'waiting', ms: 60_000, code: 1006, failure: null });
    await quiet();
    expect(waits(transport).at(-1)).toBe(25_000);
    transport.server.changeItself('a', { value: 1 });
    transport.news();
    await quiet();
    expect([notes.get('a')?.data, client.status.state]).toEqual([{ value: 1 }, 'live']);
  });

  it('comes back after a while where it has ended for good, and pulls say that all is well', async () => {
    const { client, clock, transport, say } = await makeListening();
    say()?.onState({ kind: 'open' });
    transport.news();
    await quiet();
    say()?.onState({ kind: 'ended', why: 'not_bound' });
    await quiet();
    expect([client.status.state, say()]).toEqual(['live', null]);
    await pass(clock, 61_000);
    transport.server.changeItself('a', { value: 1 });
    transport.news();
    await quiet();
    expect(say()).not.toBeNull();
  });

  it('asks whether it was revoked, when it ends for good', async () => {
    const { client, transport, say } = await makeListening();
    say()?.onState({ kind: 'open' });
    transport.server.changeItself('a', { value: 1 });
    transport.news();
    await quiet();
    transport.fail = () => failure('revoked', 'this device was revoked');
    say()?.onState({ kind: 'ended', why: 'revoked' });
    await quiet();
    expect([client.status.state, say()]).toEqual(['revoked', null]);
  });

  it('is closed while the device is stopped or offline, and opened again', async () => {
    const { client, say } = await makeListening();
    const there: boolean[] = [];
    for (const turn of [() => client.stop(), () => client.start(), () => client.forceOffline()]) {
      turn();
      await quiet();
      there.push(say() !== null);
    }
    client.forceOffline(false);
    await quiet();
    expect([...there, say() !== null]).toEqual([false, true, false, true]);
  });
});

describe('with more scopes than one pull may name', () => {
  const digest = { count: 0, hash: '0'.repeat(64) };
  const page = { reset: false, hasMore: false, cursor: 'one', deltas: [], digest };
  const granted = Array.from({ length: 250 }, (_each, at) => `course:c${at}`);
  const makeStudent = async (hasSocket: boolean) => {
    const device = await makeDevice({ hasSocket });
    const asked: { readonly scopes: readonly string[]; readonly waitMs: number }[] = [];
    device.transport.change = ({ path, body }, answer) => {
      if (!path.endsWith('pull')) return answer;
      const { scopes = [], waitMs = 0 } = body as PullRequest;
      asked.push({ scopes: scopes.map(({ scope }) => scope), waitMs });
      const served = asked.length === 1 ? granted.slice(0, 100) : scopes.map(({ scope }) => scope);
      const pages = served.map((scope) => ({ ...page, scope, reset: asked.length === 1 }));
      return { ...(answer as object), scopes: pages, granted: asked.length === 1 ? granted : [] };
    };
    device.client.start();
    return { ...device, asked };
  };

  it('asks for all of them in turn, and waits the shorter for each part', async () => {
    const { transport, clock, asked } = await makeStudent(false);
    await quiet();
    const answer = transport.change;
    const waited: number[] = [];
    const named = new Set<string>();
    for (let turn = 0; turn < 3; turn += 1) {
      transport.change = () => null;
      await pass(clock, 60_000);
      transport.change = answer;
      transport.news();
      await quiet();
      const { scopes = [], waitMs = 0 } = asked.findLast(({ waitMs }) => waitMs > 0) ?? {};
      waited.push(waitMs);
      for (const scope of scopes) named.add(scope);
    }
    expect([waited, named.size]).toEqual([[8_333, 8_333, 8_333], 250]);
  });

  it('asks first for those that a notice names, and at the opening for all', async () => {
    const { transport, clock, asked } = await makeStudent(true);
    await quiet();
    transport.listener?.onState({ kind: 'open' });
    const before = asked.length;
    await pass(clock, 10_000);
    expect(new Set(asked.slice(before).flatMap(({ scopes }) => scopes)).size).toBe(250);
    transport.listener?.onNotice(['course:c7', 'course:c249']);
    await pass(clock, 1_000);
    expect(asked.at(-1)).toEqual({ scopes: ['course:c7', 'course:c249'], waitMs: 0 });
  });

  it('asks again for what a failed pull had asked for', async () => {
    const { transport, clock, asked } = await makeStudent(true);
    await quiet();
    transport.listener?.onState({ kind: 'open' });
    await pass(clock, 10_000);
    transport.fail = () => failure('busy', 'not now');
    transport.listener?.onNotice(['course:c249']);
    await pass(clock, 1_000);
    transport.fail = () => null;
    await pass(clock, 60_000);
    expect(asked.at(-1)?.scopes).toEqual(['course:c249']);
  });
});
