import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { request as requestByTls } from 'node:https';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { revokeDevice, signRequest } from '@sync/e2e-device';
import type { TicketResponse } from '@sync/protocol';
import { WebSocket } from 'ws';
import { enroll } from './kit/course-document.ts';
import {
  type Bound,
  anotherDevice,
  appendStatements,
  boundUser,
  platform,
  pullUntil,
} from './kit/platform.ts';

const LIMIT_MS = 15_000;
/** How many sockets a device has; as many again may wait for their end. */
const ROOM = 8;
/** As long is a socket open before it makes room for another one, and a signed request good for tickets. */
const FIVE_SECONDS_MS = 5_000;
/** What a client says of a socket that ended without one. */
const NO_CODE = 1005;
/** The clocks of two programs do not run alike. */
const MARGIN_MS = 100;

function liveUrl(ticket: string): URL {
  const url = new URL('/sync/v1/live', platform().gateway);
  url.searchParams.set('ticket', ticket);
  return url;
}

const ticketOf = async (device: Bound['device']): Promise<string> =>
  (await device.call<TicketResponse>('/sync/v1/tickets', {})).ticket;

const ends: (() => void)[] = [];
/** A check that fails leaves no socket open. */
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function socketOf(ticket: string): WebSocket {
  const socket = new WebSocket(liveUrl(ticket));
  socket.on('error', () => undefined);
  ends.push(() => socket.terminate());
  return socket;
}

/** A socket whose client shakes hands and then answers nothing, not even that it is closed. */
async function rudeSocket(
  ticket: string,
): Promise<{ readonly told: Promise<unknown>; readonly cut: Promise<number> }> {
  const url = liveUrl(ticket);
  const ask = url.protocol === 'https:' ? requestByTls : request;
  const key = randomBytes(16).toString('base64');
  const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  const asked = ask(url, { headers: { ...headers, 'sec-websocket-key': key } }).end();
  const [, stream, head] = (await once(asked, 'upgrade')) as [unknown, Duplex, Buffer];
  ends.push(() => stream.destroy());
  let heard = head;
  stream.on('data', (more: Buffer) => (heard = Buffer.concat([heard, more]))).on('error', () => undefined);
  const cut = new Promise<number>((resolve) => {
    stream.once('close', () => {
      const closing = heard.subarray(heard.lastIndexOf(0x88));
      resolve(closing.length < 4 ? NO_CODE : closing.readUInt16BE(2));
    });
  });
  return { told: head.length > 0 ? Promise.resolve() : once(stream, 'data'), cut };
}

const notice = (socket: WebSocket): Promise<string[]> =>
  new Promise((resolve) => {
    socket.once('message', (data: Buffer) => {
      resolve((JSON.parse(data.toString()) as { scopes: string[] }).scopes);
    });
  });

const closed = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => socket.once('close', resolve));

/** The one that comes first. A check that ends by Jest’s own limit says nothing of what did not come. */
async function firstOf<T>(...coming: readonly Promise<T>[]): Promise<T | 'nothing came'> {
  return Promise.race([...coming, sleep(LIMIT_MS, 'nothing came' as const, { ref: false })]);
}

/** A socket that has had its first notice. */
async function openLive(device: Bound['device']): Promise<WebSocket> {
  const socket = socketOf(await ticketOf(device));
  expect(await firstOf(notice(socket))).toBeInstanceOf(Array);
  return socket;
}

describe('live', () => {
  it('names every scope of the user as soon as the ticket is redeemed', async () => {
    const { device, scope } = await boundUser();
    expect(await firstOf(notice(socketOf(await ticketOf(device))))).toEqual([scope]);
  });

  it('names every scope of a user who holds several', async () => {
    const user = await boundUser();
    const courses = [await enroll(user), await enroll(user)].map((courseId) => `course:${courseId}`);
    await pullUntil(user.device, () => courses.every((course) => user.device.scopes.has(course)));
    const told = await firstOf(notice(socketOf(await ticketOf(user.device))));
    expect(told).toBeInstanceOf(Array);
    expect(new Set(told)).toEqual(new Set([user.scope, ...courses]));
  });

  it('says which scopes have something new', async () => {
    const user = await boundUser();
    const reader = await anotherDevice(user);
    const told = notice(await openLive(reader));
    appendStatements(user.device, user.scope, 1);
    await user.device.push();
    expect(await firstOf(told)).toEqual([user.scope]);
  });

  it('gives a ticket of 30 s for one use', async () => {
    const { device } = await boundUser();
    const { ticket, expiresAt, serverTime } = await device.call<TicketResponse>('/sync/v1/tickets', {});
    const lifetimeMs = Date.parse(expiresAt) - Date.parse(serverTime);
    expect(lifetimeMs).toBeLessThanOrEqual(30_000);
    expect(lifetimeMs).toBeGreaterThan(29_000);
    const sockets = [socketOf(ticket), socketOf(ticket)];
    const notices = sockets.map(notice);
    // An open socket may still be waiting for its ticket to be redeemed: either of the two may be the one.
    const both = Promise.all(notices).then(() => 'the ticket was taken twice');
    expect([4401, 1006]).toContain(await firstOf<number | string>(...sockets.map(closed), both));
    expect(await firstOf(...notices)).toBeInstanceOf(Array);
    expect(sockets.filter(({ readyState }) => readyState === WebSocket.OPEN)).toHaveLength(1);
  });

  it.each([
    ['no ticket', ''],
    ['a forged ticket', 'AAAAAAAAAAAAAAAAAAAA'],
  ])('refuses %s', async (_name, ticket) => {
    const socket = socketOf(ticket);
    expect([4401, 1006]).toContain(await firstOf<unknown>(closed(socket), notice(socket)));
  });

  it('closes with 4403 within one second of the device’s revocation', async () => {
    const { device } = await boundUser();
    const socket = await openLive(device);
    const code = closed(socket);
    await revokeDevice(platform(), device.credentials.deviceId);
    const late = new Promise((resolve) => setTimeout(resolve, 1_000, 'still open after a second'));
    expect(await Promise.race([code, late])).toBe(4403);
  });

  it('cuts off a forged ticket that does not answer its close', async () => {
    const { cut } = await rudeSocket('AAAAAAAAAAAAAAAAAAAA');
    expect(await firstOf<unknown>(cut)).toBe(4401);
  });

  it('cuts off a revoked device that does not answer its close', async () => {
    const { device } = await boundUser();
    const { told, cut } = await rudeSocket(await ticketOf(device));
    expect(await firstOf(told)).not.toBe('nothing came');
    await revokeDevice(platform(), device.credentials.deviceId);
    expect(await firstOf<unknown>(cut)).toBe(4403);
  });

  it('gives tickets for a signed request for five seconds', async () => {
    const { device } = await boundUser();
    const url = new URL('/sync/v1/tickets', platform().gateway);
    const signed = () => signRequest(device.credentials, 'POST', url, null, Math.floor(Date.now() / 1000));
    const ask = async ({ headers }: ReturnType<typeof signed>): Promise<string> => {
      const answer = await fetch(url, { method: 'POST', headers });
      const { ticket, code } = (await answer.json()) as { ticket?: string; code?: string };
      return `${answer.status} ${ticket === undefined ? code : 'a ticket'}`;
    };
    const begunMs = performance.now();
    const captured = signed();
    expect(await ask(captured)).toBe('200 a ticket');
    const usedMs = performance.now();
    const again = await ask(captured);
    // On a machine that is too busy for this, the second one may have come late.
    const isLate = performance.now() - begunMs > FIVE_SECONDS_MS - MARGIN_MS;
    expect(isLate ? '200 a ticket' : again).toBe('200 a ticket');
    await sleep(Math.max(0, usedMs + FIVE_SECONDS_MS + MARGIN_MS - performance.now()));
    expect(await ask(captured)).toBe('401 signature_invalid');
    expect(await ask(signed())).toBe('200 a ticket');
  });
});

describe('the sockets of one device', () => {
  it('are eight: a ninth closes the oldest, after five seconds', async () => {
    const { device } = await boundUser();
    const begunMs = performance.now();
    const oldest = await openLive(device);
    const code = closed(oldest);
    const stayed = code.then(() => performance.now() - begunMs);
    const others: WebSocket[] = [];
    while (others.length < ROOM) others.push(await openLive(device));
    expect(await firstOf(code)).toBe(4409);
    expect(await stayed).toBeGreaterThan(FIVE_SECONDS_MS - MARGIN_MS);
    expect(others.filter(({ readyState }) => readyState === WebSocket.OPEN)).toHaveLength(ROOM);
  });

  it('are sixteen for five seconds, and eight in the end', async () => {
    const { device } = await boundUser();
    const tickets = await Promise.all(Array.from({ length: 2 * ROOM }, () => ticketOf(device)));
    const begunMs = performance.now();
    const sockets = tickets.map(socketOf);
    const eightClosed = new Promise<number[]>((resolve) => {
      const codes: number[] = [];
      for (const socket of sockets)
        socket.once('close', (code) => {
          if (codes.push(code) === ROOM) resolve([...codes]);
        });
    });
    expect(await firstOf(Promise.all(sockets.map(notice)))).toHaveLength(2 * ROOM);
    const newest = socketOf(await ticketOf(device));
    const came = await firstOf<unknown>(closed(newest), notice(newest));
    // On a machine that is too busy for this, the oldest may have made room already.
    const isLate = performance.now() - begunMs > FIVE_SECONDS_MS - MARGIN_MS;
    expect(isLate ? 4409 : came).toBe(4409);
    expect(await firstOf(eightClosed)).toEqual(Array(ROOM).fill(4409));
    expect(sockets.filter(({ readyState }) => readyState === WebSocket.OPEN)).toHaveLength(ROOM);
  });
});
