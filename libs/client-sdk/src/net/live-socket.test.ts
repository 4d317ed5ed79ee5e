import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LIVE_CLOSE_CODES } from '@sync/protocol/device';
import { WebSocket, WebSocketServer } from 'ws';
import { HandClock } from '../clock/hand-clock.ts';
import { createHttpTransport } from './http-transport.ts';
import { jsKey } from './js-key.ts';
import { STEADY_MS } from './live-pause.ts';
import { LiveSocket, type SocketLike } from './live-socket.ts';
import type { LiveState } from './transport.ts';
import { answer, good, refuse, RudeServer } from './testing/rude-server.ts';

const IDENTITY = { tenantId: 'acme', userId: 'u1', deviceId: 'dev-1' };

let rude: RudeServer;
let sockets: WebSocketServer;
let clock: HandClock;
let tickets: number;
/** Tickets that sockets came with. */
let redeemed: string[];
let welcome: (socket: WebSocket) => void;

beforeEach(async () => {
  rude = await RudeServer.start();
  clock = new HandClock(Date.now());
  [tickets, redeemed, welcome] = [0, [], () => undefined];
  rude.behave = (_came, response) => {
    tickets += 1;
    answer(response, 200, { ...good(), ticket: `t+${tickets}` });
  };
  sockets = new WebSocketServer({ server: rude.server });
  sockets.on('connection', (socket, { url }) => {
    redeemed.push(new URL(url ?? '', rude.url).searchParams.get('ticket') ?? '');
    welcome(socket);
  });
});
afterEach(async () => {
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  await rude.stop();
});

/** A live socket, and what it says, one after the other. */
class Watched {
  readonly states: LiveState[] = [];
  readonly notices: (readonly string[])[] = [];
  readonly live: LiveSocket;
  #seen = 0;
  /** When the pause ends that was seen last. */
  #dueMs: number | null = null;
  #tell: () => void = () => undefined;

  constructor(openSocket: (url: string) => SocketLike = (url) => new WebSocket(url)) {
    const base = { gatewayUrl: rude.url, clock };
    const key = jsKey(new Uint8Array(32), IDENTITY);
    const transport = createHttpTransport({ ...base, identity: IDENTITY, key, token: async () => 'token' });
    this.live = new LiveSocket({
      ...{ ...base, transport, openSocket, random: () => 0 },
      onState: (state) => {
        this.states.push(state);
        this.#tell();
      },
      onNotice: (scopes) => {
        this.notices.push(scopes);
        this.#tell();
      },
    });
  }

  /** The next state of this kind. */
  async next<K extends LiveState['kind']>(kind: K): Promise<Extract<LiveState, { kind: K }>> {
    for (;;) {
      const state = this.states[this.#seen];
      if (state) this.#seen += 1;
      if (state?.kind === kind) return state as Extract<LiveState, { kind: K }>;
      if (!state) await this.something();
    }
  }

  something(): Promise<void> {
    return new Promise((resolve) => (this.#tell = resolve));
  }

  /** Goes through pauses for so long. */
  async pass(ms: number): Promise<void> {
    const untilMs = clock.now() + ms;
    for (;;) {
      this.#dueMs ??= clock.now() + (await this.next('waiting')).ms;
      clock.advance(Math.min(this.#dueMs, untilMs) - clock.now());
      if (this.#dueMs > untilMs) return;
      this.#dueMs = null;
    }
  }
}

const byCode = Object.entries(LIVE_CLOSE_CODES);

describe('LiveSocket', () => {
  it('tells which scopes have something new, and nothing of what it cannot read', async () => {
    const hostile = [
      '',
      'null',
      '[]',
      '{"scopes":"user:u1"}',
      '{"scopes":[1]}',
      '{"later":1}',
      '{"scopes":[',
    ];
    welcome = (socket) => {
      for (const text of hostile) socket.send(text);
      socket.send(Buffer.from('{"scopes":["binary:1"]}'), { binary: true });
      socket.send('{"scopes":["user:u1","course:c1"],"later":true}');
    };
    const watched = new Watched();
    await watched.next('open');
    while (watched.notices.length === 0) await watched.something();
    expect(watched.notices).toEqual([['user:u1', 'course:c1']]);
    expect(redeemed).toEqual(['t+1']);
    expect(watched.states.map(({ kind }) => kind)).toEqual(['connecting', 'open']);
    watched.live.close();
  });

  it('never spins: a server that closes at once is asked seven times in a minute, then twice', async () => {
    welcome = (socket) => socket.close(LIVE_CLOSE_CODES.goingAway.code);
    const watched = new Watched();
    await watched.pass(60_000);
    expect([tickets, redeemed.length]).toEqual([7, 7]);
    await watched.pass(600_000);
    expect(tickets).toBeLessThanOrEqual(7 + 21);
    watched.live.close();
  });

  it.each([
    ['says 1012 and at once', (socket: WebSocket) => socket.close(1012, 'retry-after-ms=0')],
    ['sends a notice first', (socket: WebSocket) => socket.send('{"scopes":[]}', () => socket.close(4401))],
    ['cuts the line', (socket: WebSocket) => socket.terminate()],
  ])('never spins: nor with one that %s', async (_name, behave) => {
    welcome = behave;
    const watched = new Watched();
    await watched.pass(60_000);
    expect(tickets).toBe(7);
    watched.live.close();
  });

  it('never spins: nor where there is no WebSocket, or no ticket', async () => {
    const without = new Watched(() => {
      throw new Error('forbidden by the policy of the page');
    });
    await without.pass(60_000);
    expect(tickets).toBe(7);
    without.live.close();
    rude.behave = (_came, response) => answer(response, 200, good());
    rude.came.length = 0;
    const ticketless = new Watched();
    await ticketless.pass(60_000);
    expect(rude.came).toHaveLength(7);
    ticketless.live.close();
  });

  it('gets a ticket by a request of its own each time, signed anew', async () => {
    welcome = (socket) => socket.close(4503);
    const watched = new Watched();
    await watched.pass(60_000);
    expect(redeemed).toEqual(['t+1', 't+2', 't+3', 't+4', 't+5', 't+6', 't+7']);
    // Two within a second are the same text.
    expect(new Set(rude.came.map(({ headers }) => headers['signature'])).size).toBe(6);
    watched.live.close();
  });

  it('comes back when a server that stops says so', async () => {
    const watched = new Watched();
    await watched.next('open');
    clock.advance(STEADY_MS);
    for (const socket of sockets.clients) socket.close(1012, 'retry-after-ms=12345');
    expect(await watched.next('waiting')).toMatchObject({ ms: 12_345, code: 1012, failure: null });
    clock.advance(12_344);
    expect(tickets).toBe(1);
    clock.advance(1);
    await watched.next('open');
    expect(tickets).toBe(2);
    watched.live.close();
  });

  it('begins with a short pause again after a socket that was a good one', async () => {
    welcome = (socket) => socket.terminate();
    const watched = new Watched();
    await watched.pass(30_000);
    welcome = () => undefined;
    clock.advance(60_000);
    while (watched.states.at(-1)?.kind !== 'open') await watched.something();
    clock.advance(STEADY_MS);
    for (const socket of sockets.clients) socket.terminate();
    expect((await watched.next('waiting')).ms).toBe(500);
    watched.live.close();
  });

  it.each(byCode)('does what is right after the code of %s', async (name, { code }) => {
    welcome = (socket) => socket.close(code);
    const watched = new Watched();
    if (name === 'deviceRevoked') {
      expect(await watched.next('ended')).toEqual({ kind: 'ended', why: 'revoked' });
      expect(clock.waiting).toBe(0);
    } else {
      const ms = name === 'replaced' ? 7_500 : 500;
      expect(await watched.next('waiting')).toEqual({ kind: 'waiting', ms, code, failure: null });
    }
    watched.live.close();
  });

  it('waits as long as an answer without a ticket asks for', async () => {
    rude.behave = (_came, response) => refuse(response, 'rate_limited', { 'retry-after': '90' });
    const watched = new Watched();
    const { ms, failure } = await watched.next('waiting');
    expect([ms, failure?.kind, failure?.problem?.code]).toEqual([90_000, 'busy', 'rate_limited']);
    watched.live.close();
  });

  it.each([
    ['device_revoked', 'revoked'],
    ['device_not_bound', 'not_bound'],
  ] as const)('ends for good with %s', async (code, why) => {
    rude.behave = (_came, response) => refuse(response, code);
    const watched = new Watched();
    expect(await watched.next('ended')).toEqual({ kind: 'ended', why });
    expect(clock.waiting).toBe(0);
  });

  it('gives a handshake up that does not end', async () => {
    sockets.close();
    rude.server.removeAllListeners('upgrade');
    const upgrade = once(rude.server, 'upgrade');
    const watched = new Watched();
    const [, stream] = (await upgrade) as [unknown, Duplex];
    clock.advance(15_000);
    expect(await watched.next('waiting')).toMatchObject({ code: null });
    watched.live.close();
    stream.destroy();
  });
});

describe('close', () => {
  it.each<[string, (watched: Watched) => Promise<unknown>]>([
    ['before it began', async () => undefined],
    ['while a ticket is asked for', (watched) => watched.next('connecting')],
    ['while it is open', (watched) => watched.next('open')],
  ])('is final %s', async (_name, reached) => {
    const watched = new Watched();
    await reached(watched);
    watched.live.close();
    const said = watched.states.length;
    await until(() => sockets.clients.size === 0);
    watched.live.wake();
    clock.advance(3_600_000);
    await new Promise((done) => setTimeout(done, 50));
    expect(watched.states).toHaveLength(said);
    expect(watched.notices).toEqual([]);
    expect([clock.waiting, sockets.clients.size]).toEqual([0, 0]);
  });

  it('is final while it waits', async () => {
    welcome = (socket) => socket.terminate();
    const watched = new Watched();
    await watched.next('waiting');
    watched.live.close();
    watched.live.wake();
    clock.advance(3_600_000);
    expect([clock.waiting, tickets]).toEqual([0, 1]);
  });
});

describe('wake', () => {
  it('ends a pause, and no more often than every five seconds', async () => {
    welcome = (socket) => socket.terminate();
    const watched = new Watched();
    await watched.next('waiting');
    watched.live.wake();
    await watched.next('waiting');
    expect(tickets).toBe(2);
    for (let times = 0; times < 100; times += 1) watched.live.wake();
    expect(clock.waiting).toBe(2);
    expect(watched.states.at(-1)?.kind).toBe('waiting');
    watched.live.close();
    expect(clock.waiting).toBe(0);
  });

  it('leaves a socket that is open alone', async () => {
    const watched = new Watched();
    await watched.next('open');
    watched.live.wake();
    expect(watched.states.at(-1)?.kind).toBe('open');
    watched.live.close();
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 5));
}
