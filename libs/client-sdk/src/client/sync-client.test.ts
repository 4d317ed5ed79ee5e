/** A whole device on a server that is only a model, and on a clock that a test turns by hand. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { PullRequest, PushRequest } from '@sync/protocol';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { failure } from '../net/failure.ts';
import type { Call, Failure } from '../net/transport.ts';
import { MemoryDisk } from '../storage/memory-store.ts';
import { makeDevice, pass, quiet } from './testing/make-device.ts';

function problem(status: number, code: string, path?: string): Failure {
  const text = { title: code, detail: code, type: `urn:sync-service:problem:${code}`, serverTime: '' };
  const errors = path === undefined ? {} : { errors: [{ path, message: 'it is wrong' }] };
  return failure('refused', code, {
    status,
    problem: { ...text, status, code, retryable: false, ...errors } as NonNullable<Failure['problem']>,
  });
}

it('has nothing to read before its requests where no other client uses the store', async () => {
  const disk = new MemoryDisk();
  let reads = 0;
  const get = disk.counters.get.bind(disk.counters);
  const { client, transport } = await makeDevice({ disk });
  disk.counters.get = (name) => {
    if (name === 'sequence') reads += 1;
    return get(name);
  };
  client.start();
  await quiet();
  transport.server.changeItself('a', { value: 1 });
  transport.news();
  await quiet();
  expect([client.status.state, transport.count('pull') > 2, reads]).toEqual(['live', true, 0]);
});

describe('a push that is refused', () => {
  it.each([
    ['by a server that does not know the key', problem(401, 'signature_invalid')],
    ['by a server without that path', problem(404, 'not_found')],
    ['for a time that is none', problem(400, 'schema_invalid', '/sentAt')],
    ['by a key that does not sign', failure('refused', 'The request could not be made')],
  ])('%s is no fault of what is in it', async (_why, refusal) => {
    const { client, clock, transport, notes } = await makeDevice();
    transport.fail = ({ path }) => (path === '/sync/v1/push' ? refusal : null);
    const write = await notes.put('a', { value: 1 });
    client.start();
    await pass(clock, 7_200_000);
    expect([client.status.pending, (await client.outcomes()).length]).toEqual([1, 0]);
    transport.fail = () => null;
    await pass(clock, 600_000);
    expect((await write.wait('seen'))?.status).toBe('applied');
  });

  it('for some of its mutations takes these out at once, and lets the others go on', async () => {
    const { client, clock, transport, notes } = await makeDevice();
    transport.fail = ({ path, body }) => {
      const { mutations = [] } = body as Partial<PushRequest>;
      const at = mutations.findIndex(({ data }) => data?.['value'] === 'bad');
      return path === '/sync/v1/push' && at >= 0
        ? problem(400, 'schema_invalid', `/mutations/${at}/data/value`)
        : null;
    };
    const good = await notes.put('b', { value: 'good' });
    const bad = await notes.put('a', { value: 'bad' });
    client.start();
    await pass(clock, 1_000);
    expect((await good.wait('applied'))?.status).toBe('applied');
    await expect(bad.wait('applied')).rejects.toMatchObject({ code: 'not_applied' });
    expect((await client.outcomes()).map(({ mutation }) => mutation?.data)).toEqual([{ value: 'bad' }]);
  });

  it('for its length takes one out only when it was sent alone', async () => {
    const { client, clock, transport, notes } = await makeDevice();
    transport.fail = ({ path, body }) =>
      path === '/sync/v1/push' && JSON.stringify(body).includes('bad') ? failure('too_large', '413') : null;
    const writes = [await notes.put('b', { value: 'good' }), await notes.put('a', { value: 'bad' })];
    client.start();
    await pass(clock, 600_000);
    expect(writes.map(({ outcome }) => outcome?.status)).toEqual(['applied', 'rejected']);
  });
});

describe('a line', () => {
  it('that takes too long for a request is given a smaller one', async () => {
    const { client, clock, transport, notes } = await makeDevice();
    const FITS = 3;
    const sizeOf = ({ body }: Call): number => {
      const { mutations, limit } = body as { mutations?: unknown[]; limit?: number };
      return mutations?.length ?? limit ?? 0;
    };
    for (let n = 0; n < 10; n += 1) transport.server.changeItself(`other-${n}`, { value: n });
    const writes = await Promise.all(Array.from({ length: 10 }, (_each, n) => notes.put(`own-${n}`, { n })));
    const send = transport.send.bind(transport);
    transport.send = async <T>(call: Call) => {
      if (sizeOf(call) <= FITS) return send<T>(call);
      await new Promise((resolve) => clock.setTimer(call.timeoutMs, () => resolve(null)));
      return failure('offline', 'No answer');
    };
    client.start();
    for (let minutes = 0; minutes < 60; minutes += 1) await pass(clock, 60_000);
    expect(writes.map(({ state }) => state.tier)).toEqual(Array(10).fill('seen'));
    expect(notes.list()).toHaveLength(20);
  });
});

describe('a listener that throws', () => {
  const known = (globalThis as { reportError?: unknown }).reportError;
  afterEach(() => void Object.assign(globalThis, { reportError: known }));

  it('is reported, and holds nothing up', async () => {
    const reported: unknown[] = [];
    Object.assign(globalThis, { reportError: (error: unknown) => reported.push(error) });
    const { client, clock, transport, notes } = await makeDevice();
    const fault = new Error('of the app');
    const fail = (): void => {
      throw fault;
    };
    const told: string[] = [];
    notes.subscribe(fail);
    client.onStatus(fail);
    notes.subscribe((ids) => told.push(...ids));
    client.start();
    await quiet();
    for (const id of ['a', 'b']) await (await notes.put(id, { value: 1 })).wait('seen');
    await pass(clock, 60_000);
    expect([new Set(reported), new Set(told)]).toEqual([new Set([fault]), new Set(['a', 'b'])]);
    expect([client.status.pending, client.status.state]).toEqual([0, 'live']);
    expect(transport.count('push')).toBeLessThanOrEqual(3);
  });
});

describe('writes', () => {
  it('go to the scope in which the entity is held, also before its type was loaded', async () => {
    const disk = new MemoryDisk();
    const { client, transport } = await makeDevice({ disk });
    transport.server.changeItself('a', { value: 1 });
    client.start();
    await quiet();
    await client.close();
    const again = await makeDevice({ disk, note: { scope: 'course:c1' } });
    await again.notes.put('a', { value: 2 });
    expect(again.notes.list()).toMatchObject([{ id: 'a', scope: SCOPE, data: { value: 2 } }]);
  });

  it('keep the order of their calls, and what was in them then', async () => {
    const slowly = async (value: unknown) => {
      if ((value as { value: number }).value === 2) await quiet();
      return { value: value as { value: number } };
    };
    const { notes } = await makeDevice({ note: { schema: { '~standard': { validate: slowly } } } });
    const data = { value: 1 };
    const writes = [
      notes.put('a', data),
      notes.patch('a', { value: 2 }),
      notes.put('a', { value: 3 }),
      notes.patch('a', { more: 4 }),
    ];
    data.value = 5;
    await Promise.all(writes);
    expect(notes.get('a')?.data).toEqual({ value: 3, more: 4 });
    const { notes: bare } = await makeDevice();
    const write = bare.put('b', data);
    data.value = 6;
    await write;
    expect(bare.get('b')?.data).toEqual({ value: 5 });
  });

  it('that are no JSON are refused, and hold up nothing behind them', async () => {
    const { notes } = await makeDevice();
    const bad = notes.put('a', { value: 1n });
    const good = notes.put('a', { value: 1 });
    await expect(bad).rejects.toMatchObject({ code: 'data_invalid' });
    await good;
    expect(notes.get('a')?.data).toEqual({ value: 1 });
  });
});

describe('who waits for a write', () => {
  it('is answered, however many others have left the outbox since', async () => {
    const { client, notes } = await makeDevice();
    client.start();
    const writes = await Promise.all(
      Array.from({ length: 1_200 }, (_each, n) => notes.put(`n${n}`, { value: n })),
    );
    await quiet();
    expect(client.status.pending).toBe(0);
    const [first] = writes;
    expect((await first?.wait('seen'))?.status).toBe('applied');
  });

  it('is told that it never will be, where the device was revoked', async () => {
    const { client, transport, notes } = await makeDevice();
    transport.fail = () => failure('revoked', 'this device was revoked');
    const write = await notes.put('a', { value: 1 });
    const waiting = expect(write.wait('applied')).rejects.toMatchObject({
      code: 'not_applied',
      outcome: { status: 'rejected', code: 'device_revoked' },
    });
    client.start();
    await waiting;
    expect(notes.list()).toEqual([]);
  });
});

describe('time', () => {
  it('that is set back by a year stops nobody from trying again', async () => {
    const { client, clock, transport, notes } = await makeDevice();
    for (const kind of ['busy', 'needs_auth'] as const) {
      transport.fail = () => failure(kind, 'not now');
      const write = await notes.put(kind, { value: 1 });
      client.start();
      await quiet();
      clock.set(clock.now() - 365 * 86_400_000);
      transport.fail = () => null;
      await pass(clock, 60_000);
      expect((await write.wait('seen'))?.status).toBe('applied');
      client.stop();
    }
  });

  it('is asked for no more after a stop', async () => {
    const { client, clock, transport } = await makeDevice();
    transport.fail = () => failure('busy', 'not now');
    client.start();
    await quiet();
    expect(clock.waiting).toBe(1);
    await client.close();
    expect(clock.waiting).toBe(0);
  });
});

describe('a server that answers nonsense', () => {
  const page = { scope: SCOPE, reset: false, deltas: [], cursor: '0:0' };
  const nothing = { serverTime: '', scopes: [], revoked: [], outcomes: [], directives: [] };
  const digest = { count: 0, hash: '0'.repeat(64) };
  const clock = { 's:owner': 1 };
  const delta = { entityType: 'note', entityId: 'a', op: 'put', schemaVersion: 1, data: {}, clock };
  const anew = { kind: 'full_resync', scopes: [SCOPE] };
  it.each<[string, object]>([
    ['says for ever that there is more', { scopes: [{ ...page, hasMore: true }] }],
    ['begins anew for ever', { scopes: [{ ...page, reset: true, hasMore: true }] }],
    ['begins anew for ever and has nothing', { scopes: [{ ...page, reset: true, hasMore: false, digest }] }],
    ['gives no digest', { scopes: [{ ...page, hasMore: false }] }],
    ['sends the same page for ever', { scopes: [{ ...page, deltas: [delta], hasMore: true }] }],
    ['takes the same scope away for ever', { revoked: ['course:c1'] }],
    ['wants a resync for ever', { scopes: [{ ...page, hasMore: false, digest }], directives: [anew] }],
  ])('and %s is asked a few times a minute', async (_what, answer) => {
    const { client, clock, transport } = await makeDevice();
    transport.change = ({ path }, body) => (path.endsWith('pull') ? { ...nothing, ...answer } : body);
    transport.change = bounded(transport.change);
    client.start();
    await pass(clock, 60_000);
    expect(transport.count('pull')).toBeLessThanOrEqual(12);
    expect(transport.count('ack')).toBeLessThanOrEqual(12);
  });
});

it('begins only those scopes anew whose cursors the server does not take', async () => {
  const { client, clock, transport } = await makeDevice();
  const asked: PullRequest['scopes'][] = [];
  transport.fail = ({ path, body }) => {
    if (!path.endsWith('pull')) return null;
    asked.push((body as PullRequest).scopes);
    return asked.length === 2 ? cursorInvalid('/scopes/1/cursor') : null;
  };
  const page = { reset: true, hasMore: false, cursor: 'one', deltas: [] };
  const digest = { count: 0, hash: '0'.repeat(64) };
  const scopes = ['course:c1', 'course:c2'].map((scope) => ({ scope, digest, ...page }));
  transport.change = ({ path }, answer) => {
    if (!path.endsWith('pull')) return answer;
    return asked.length === 1 ? { ...(answer as object), scopes } : null;
  };
  client.start();
  await pass(clock, 60_000);
  expect(asked).toEqual([
    undefined,
    scopes.map(({ scope }) => ({ scope, cursor: 'one' })),
    [
      { scope: 'course:c2', cursor: null },
      { scope: 'course:c1', cursor: 'one' },
    ],
  ]);
});

function cursorInvalid(path: string): Failure {
  return { ...problem(400, 'cursor_invalid', path), kind: 'cursor_invalid' };
}

/** Nobody waits for a device that spins. */
function bounded<A, B, C>(change: (call: A, body: B) => C): (call: A, body: B) => C {
  let left = 200;
  return (call, body) => {
    left -= 1;
    if (left < 0) throw new Error('it spins');
    return change(call, body);
  };
}
