import { brotliCompressSync, gzipSync } from 'node:zlib';
import { randomUUID } from 'node:crypto';
import { type DriverDevice, signRequest } from '@sync/e2e-device';
import type { PullResponse, PushResponse } from '@sync/protocol';
import { boundUser, entityOf, platform, pullUntil, rawPull, statement } from './kit/platform.ts';

interface Problem {
  readonly code: string;
  readonly errors?: readonly { readonly path: string }[];
}

describe('bad input', () => {
  let device: DriverDevice;
  let scope: string;
  let userId: string;

  beforeAll(async () => {
    ({ device, scope, userId } = await boundUser());
  });

  async function sendRaw(
    path: string,
    body: Buffer,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Problem }> {
    const url = new URL(path, platform().gateway);
    const signed = signRequest(device.credentials, 'POST', url, body, Math.floor(Date.now() / 1000));
    const answer = await fetch(url, { method: 'POST', headers: { ...signed.headers, ...headers }, body });
    return { status: answer.status, body: (await answer.json()) as Problem };
  }

  const push = (mutations: readonly unknown[]): Promise<{ status: number; body: Problem & PushResponse }> =>
    device.send('/sync/v1/push', { sentAt: new Date().toISOString(), mutations });

  const append = (change: Record<string, unknown> = {}): Record<string, unknown> => {
    const entityId = randomUUID();
    return {
      mutationId: randomUUID(),
      sequence: 1,
      scope,
      entityType: 'statement',
      entityId,
      op: 'append',
      data: statement(entityId),
      baseClock: {},
      occurredAt: new Date().toISOString(),
      schemaVersion: 1,
      ...change,
    };
  };

  it.each([
    ['text that is no JSON', Buffer.from('{"limit":'), {}, 400, 'malformed_json'],
    [
      'bytes that are no UTF-8',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      {},
      400,
      'malformed_json',
    ],
    ['nesting deeper than 32', Buffer.from(`${'['.repeat(33)}${']'.repeat(33)}`), {}, 400, 'limit_exceeded'],
    ['nesting of 100,000', Buffer.from('['.repeat(100_000)), {}, 400, 'limit_exceeded'],
    ['more than 1 MiB', Buffer.from(`{"a":"${'x'.repeat(1_048_577)}"}`), {}, 413, 'payload_too_large'],
    [
      '97 kB of gzip that inflate to 100 MB',
      gzipSync(Buffer.alloc(100_000_000)),
      { 'content-encoding': 'gzip' },
      413,
      'payload_too_large',
    ],
    [
      '1,900 kB of spaces in a few bytes',
      brotliCompressSync(Buffer.from(`{"limit":1${' '.repeat(1_900_000)}}`)),
      { 'content-encoding': 'br' },
      413,
      'payload_too_large',
    ],
    [
      'more values than 10,000',
      Buffer.from(`{"ignored":[${'0,'.repeat(10_001)}0]}`),
      {},
      400,
      'limit_exceeded',
    ],
    ['gzip that is none', Buffer.from('plain'), { 'content-encoding': 'gzip' }, 400, 'malformed_json'],
    ['an unknown encoding', Buffer.from('{}'), { 'content-encoding': 'zstd' }, 415, 'unsupported_media_type'],
    [
      'another content type',
      Buffer.from('{}'),
      { 'content-type': 'text/plain' },
      415,
      'unsupported_media_type',
    ],
  ])('refuses %s', async (_name, body, headers, status, code) => {
    const answer = await sendRaw('/sync/v1/pull', body, headers);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  it.each([
    ['/sync/v1/pull', { limit: 0 }, '/limit'],
    ['/sync/v1/pull', { limit: 1_001 }, '/limit'],
    ['/sync/v1/pull', { waitMs: 30_001 }, '/waitMs'],
    ['/sync/v1/pull', { scopes: [{ scope: 'user' }] }, '/scopes/0/scope'],
    [
      '/sync/v1/pull',
      { scopes: Array.from({ length: 101 }, (_unused, at) => ({ scope: `course:c${at}` })) },
      '/scopes',
    ],
    ['/sync/v1/push', { sentAt: 'yesterday', mutations: [] }, '/sentAt'],
    ['/sync/v1/push', { sentAt: '2026-01-01T00:00:00Z' }, '/mutations'],
    ['/sync/v1/ack', { cursors: [{ scope: 'user:a' }] }, '/cursors/0/cursor'],
    ['/sync/v1/ack', { outcomes: ['x'] }, '/outcomes/0'],
  ])('names the offending path of %s %j', async (path, body, offending) => {
    const answer = await device.send<Problem>(path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.map((error) => error.path)).toContain(offending);
  });

  it.each([
    ['a leap second', '2026-06-30T23:59:60Z'],
    ['a day that there is not', '2026-02-29T00:00:00Z'],
    ['the year 0', '0000-01-01T00:00:00Z'],
    ['no offset', '2026-01-01T00:00:00'],
    ['an offset of more than 14 hours', '2026-01-01T00:00:00+14:01'],
  ])('reads no time of %s', async (_what, sentAt) => {
    const answer = await device.send<Problem>('/sync/v1/push', { sentAt, mutations: [] });
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, '/sentAt']);
  });

  it.each([
    ['status=%00', '/status'],
    ['unheard-of=a%00b', '/unheard-of'],
  ])('refuses what cannot be kept in a query, with its name: %s', async (query, path) => {
    const url = `/sync/v1/conflicts?${query}`;
    const answer = await device.send<Problem>(url, null, { method: 'GET' });
    const { code, errors } = answer.body;
    expect([answer.status, code, errors?.[0]?.path]).toEqual([400, 'schema_invalid', path]);
  });

  it('ignores unknown fields', async () => {
    const answer = await device.send('/sync/v1/pull', { limit: 1, fromTheFuture: { a: 1 } });
    expect(answer.status).toBe(200);
  });

  it('refuses an unknown enum value with its path and stores nothing', async () => {
    const good = append();
    const answer = await push([good, append({ op: 'explode' })]);
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.map((error) => error.path)).toContain('/mutations/1/op');
    const retried = await push([good]);
    expect(retried.body.outcomes[0]?.status).toBe('applied');
  });

  it('refuses more than 500 mutations and stores none', async () => {
    const mutations = Array.from({ length: 501 }, () => append());
    const answer = await push(mutations);
    expect([400, 413]).toContain(answer.status);
    expect((await rawPull(device, scope, null)).deltas.map(({ entityId }) => entityId)).not.toContain(
      mutations[0]?.['entityId'],
    );
  });

  it('lets a bad mutation harm none of its neighbours', async () => {
    const bad = [
      append({ entityType: 'unheard-of' }),
      append({ scope: 'user:somebody-else' }),
      append({ scope: 'course:nobody-granted' }),
      append({ schemaVersion: 99 }),
      append({ baseClock: { nonsense: 1 } }),
      append({ baseClock: { 'd:x': -1 } }),
      append({ entityId: 'with spaces' }),
      append({ occurredAt: 'never' }),
      append({ data: { ...statement('x'), text: 'a\u0000b' } }),
      append({ data: { ...statement('x'), score: 2 ** 53 } }),
      append({ data: { ...statement('x'), text: '\ud800' } }),
      append({ op: 'delete' }),
    ];
    const good = bad.map(() => append());
    const answer = await push(bad.flatMap((mutation, at) => [mutation, good[at]]));
    expect(answer.status).toBe(200);
    const { outcomes } = answer.body;
    expect(outcomes.filter((_outcome, at) => at % 2 === 1).map(({ status }) => status)).toEqual(
      good.map(() => 'applied'),
    );
    const refused = outcomes.filter((_outcome, at) => at % 2 === 0);
    expect(refused.map(({ status }) => status)).toEqual(bad.map(() => 'rejected'));
    expect(refused.map(({ code }) => code)).toEqual([
      'entity_type_unknown',
      'scope_not_held',
      'scope_not_held',
      'schema_version_unknown',
      ...new Array<string>(7).fill('mutation_invalid'),
      'append_only_violation',
    ]);
    // What a malformed id names cannot be shown; everything else comes with what stands on the server.
    const shown = refused.map(({ current }) => current !== undefined);
    expect(shown).toEqual(bad.map(({ entityId }) => entityId !== 'with spaces'));
    await pullUntil(device, () =>
      good.every(({ entityId }) => entityOf(device, scope, 'statement', String(entityId))),
    );
  });

  it('keeps a __proto__ key away from everything', async () => {
    const text = JSON.stringify({ sentAt: new Date().toISOString(), mutations: [append()] });
    const poisoned = text.replace('"data":{', '"data":{"__proto__":{"admin":true},');
    const answer = await sendRaw('/sync/v1/push', Buffer.from(poisoned));
    expect(answer.status).toBe(200);
    expect((answer.body as unknown as PushResponse).outcomes[0]).toMatchObject({
      status: 'rejected',
      code: 'mutation_invalid',
    });
  });

  it.each([
    ['half a surrogate pair', '\ud800'],
    ['a NUL', 'a\0b'],
    ['characters outside of the first plane where a text is cut', `x${'😀'.repeat(600)}`],
  ])('answers strict JSON about keys with %s', async (_what, key) => {
    const refused = [
      append({ data: { [key]: '\ud800' } }),
      append({ data: { inner: { [key]: '\0' } } }),
      append({ baseClock: { [key]: 1 } }),
      append({ dependsOn: [key] }),
      append({ entityId: key }),
    ];
    // The device reads every answer as a strict reader does.
    const pushed = await push(refused);
    expect(pushed.body.outcomes.map(({ code }) => code)).toEqual(refused.map(() => 'mutation_invalid'));
    const { outcomes } = await device.call<PullResponse>('/sync/v1/pull', { scopes: [] });
    const ids = refused.map(({ mutationId }) => mutationId);
    expect(outcomes.map(({ mutationId }) => mutationId)).toEqual(expect.arrayContaining(ids));
    await device.call('/sync/v1/ack', { outcomes: ids });
    const resolution = { kind: 'merged', data: { [key]: '\0' } };
    const request = { conflictId: randomUUID(), resolution, expectedClock: { [key]: 1 } };
    for (const body of [request, { ...request, expectedClock: {} }]) {
      const answer = await device.send<Problem>('/sync/v1/resolve-conflict', body);
      expect([answer.status, answer.body.code]).toEqual([400, 'schema_invalid']);
      expect(answer.body.errors?.[0]?.path.length).toBeLessThanOrEqual(300);
    }
  });

  it('lets the owner refuse data of another user or of a wrong shape, naming the field', async () => {
    const note = (data: Record<string, unknown>): Record<string, unknown> =>
      append({ entityType: 'note', entityId: randomUUID(), op: 'put', data });
    const { outcomes } = (
      await push([
        note({ userId: 'somebody-else', text: 'mine now' }),
        note({ userId, text: 7 }),
        note({ userId, text: 'fine' }),
      ])
    ).body;
    expect(outcomes.map(({ status, code }) => [status, code])).toEqual([
      ['rejected', 'forbidden'],
      ['rejected', 'data_invalid'],
      ['applied', undefined],
    ]);
    expect(outcomes[1]?.message).toContain('text');
  });

  it('answers unknown paths and methods as problems', async () => {
    const missing = await device.send<Problem>('/sync/v1/nothing', {});
    expect([missing.status, missing.body.code]).toEqual([404, 'not_found']);
    const wrong = await device.send<Problem>('/sync/v1/pull', null, { method: 'GET' });
    expect([404, 405]).toContain(wrong.status);
  });
});
