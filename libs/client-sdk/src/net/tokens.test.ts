import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { HandClock } from '../clock/hand-clock.ts';
import { createHttpTransport, type HttpTransport } from './http-transport.ts';
import { jsKey } from './js-key.ts';
import { answer, good, refuse, RudeServer } from './testing/rude-server.ts';
import { type GetToken, TOKEN_LIMIT_MS, type TokenReason, Tokens } from './tokens.ts';
import type { Answer, Call } from './transport.ts';

const IDENTITY = { tenantId: 'acme', userId: 'u1', deviceId: 'dev-1' };
const PULL: Call = { method: 'POST', path: '/sync/v1/pull', body: {}, timeoutMs: 20_000 };
const KIND = (given: Answer<unknown>): string => (given.ok ? 'ok' : given.kind);

let rude: RudeServer;
let reasons: TokenReason[];
beforeAll(async () => {
  rude = await RudeServer.start();
});
afterAll(() => rude.stop());
beforeEach(() => {
  rude.came.length = 0;
  reasons = [];
  rude.behave = ({ headers }, response) => {
    if (headers.authorization === 'Bearer good') answer(response, 200, good());
    else refuse(response, 'unauthenticated');
  };
});

/** Gives these one after the other, and then the last one for ever. */
function transport(...tokens: readonly string[]): HttpTransport {
  const token: GetToken = async (reason) => {
    reasons.push(reason);
    return tokens[Math.min(reasons.length, tokens.length) - 1] ?? '';
  };
  return createHttpTransport({
    gatewayUrl: rude.url,
    identity: IDENTITY,
    key: jsKey(key(), IDENTITY),
    token,
  });
}

const key = (): Uint8Array => new Uint8Array(32);

describe('the token of a transport', () => {
  it('is asked for once, and held', async () => {
    const net = transport('good');
    expect([await net.send(PULL), await net.send(PULL)].map(KIND)).toEqual(['ok', 'ok']);
    expect(reasons).toEqual(['needed']);
  });

  it('is asked for again when it is refused, and the request repeated', async () => {
    const net = transport('expired', 'good');
    expect(KIND(await net.send(PULL))).toBe('ok');
    expect(reasons).toEqual(['needed', 'refused']);
    expect(rude.came).toHaveLength(2);
  });

  it('is refreshed once for all requests that were refused together', async () => {
    const net = transport('expired', 'good');
    const held: (() => void)[] = [];
    rude.behave = ({ headers }, response) => {
      if (headers.authorization === 'Bearer good') answer(response, 200, good());
      else held.push(() => refuse(response, 'unauthenticated'));
      if (held.length === 10) for (const release of held.splice(0)) release();
    };
    const answers = await Promise.all(Array.from({ length: 10 }, () => net.send(PULL)));
    expect(answers.map(KIND)).toEqual(Array.from({ length: 10 }, () => 'ok'));
    expect(reasons).toEqual(['needed', 'refused']);
    expect(rude.came).toHaveLength(20);
  });

  it('is not sent again when the app has no other', async () => {
    const net = transport('expired');
    expect(KIND(await net.send(PULL))).toBe('needs_auth');
    expect(rude.came).toHaveLength(1);
    expect(KIND(await net.send(PULL))).toBe('needs_auth');
    expect(rude.came).toHaveLength(2);
    expect(reasons).toEqual(['needed', 'refused', 'refused']);
  });

  it('is refreshed once in a request', async () => {
    const net = transport('expired', 'expired-2', 'good');
    expect(KIND(await net.send(PULL))).toBe('needs_auth');
    expect(rude.came).toHaveLength(2);
    expect(KIND(await net.send(PULL))).toBe('ok');
    expect(reasons).toEqual(['needed', 'refused', 'refused']);
  });

  it.each<[string, GetToken]>([
    ['throws', () => Promise.reject(new Error('signed out'))],
    [
      'throws at once',
      () => {
        throw new Error('signed out');
      },
    ],
    ['gives nothing', async () => ''],
    ['gives what is no text', async () => null as unknown as string],
    ['gives what would be another field', async () => 'a\r\nx-admin: 1'],
    ['gives what has a blank', async () => 'a b'],
  ])('is none when the app %s', async (_name, token) => {
    const options = { gatewayUrl: rude.url, identity: IDENTITY, key: jsKey(key(), IDENTITY), token };
    expect(await createHttpTransport(options).send(PULL)).toMatchObject({ ok: false, kind: 'needs_auth' });
    expect(rude.came).toEqual([]);
  });
});

describe('an app that does not answer when it is asked for a token', () => {
  it('is waited for so long, and then asked again', async () => {
    const clock = new HandClock();
    const tokens = new Tokens(async (reason) => {
      reasons.push(reason);
      return new Promise<string>(() => undefined);
    }, clock);
    for (const asked of [1, 2]) {
      const waiting = [tokens.current(), tokens.current()];
      clock.advance(TOKEN_LIMIT_MS);
      expect((await Promise.all(waiting)).map((held) => !held.ok && held.kind)).toEqual([
        'needs_auth',
        'needs_auth',
      ]);
      expect(reasons).toHaveLength(asked);
    }
    expect(clock.waiting).toBe(0);
  });

  it('may answer later, for whoever comes then', async () => {
    const clock = new HandClock();
    let give: (token: string) => void = () => undefined;
    const tokens = new Tokens(() => new Promise((resolve) => (give = resolve)), clock);
    const first = tokens.current();
    clock.advance(TOKEN_LIMIT_MS);
    expect((await first).ok).toBe(false);
    give('late');
    await new Promise((done) => setImmediate(done));
    expect(await tokens.current()).toEqual({ ok: true, token: 'late' });
  });

  it('is left when the caller gives up', async () => {
    const clock = new HandClock();
    const tokens = new Tokens(() => new Promise(() => undefined), clock);
    const controller = new AbortController();
    const asked = tokens.current(controller.signal);
    controller.abort();
    expect(await asked).toMatchObject({ ok: false, kind: 'aborted' });
    expect(clock.waiting).toBe(0);
  });
});
