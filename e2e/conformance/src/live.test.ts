import { setTimeout as sleep } from 'node:timers/promises';
import { revokeDevice } from '@sync/e2e-device';
import type { TicketResponse } from '@sync/protocol';
import { WebSocket } from 'ws';
import { type Bound, anotherDevice, appendStatements, boundUser, platform } from './kit/platform.ts';

const LIMIT_MS = 15_000;

function liveUrl(ticket: string): string {
  const url = new URL('/sync/v1/live', platform().gateway);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('ticket', ticket);
  return url.href;
}

const ticketOf = async (device: Bound['device']): Promise<string> =>
  (await device.call<TicketResponse>('/sync/v1/tickets', {})).ticket;

const open: WebSocket[] = [];
/** A check that fails leaves none open. */
afterEach(() => {
  for (const socket of open.splice(0)) socket.terminate();
});

function socketOf(ticket: string): WebSocket {
  const socket = new WebSocket(liveUrl(ticket));
  socket.on('error', () => undefined);
  open.push(socket);
  return socket;
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
});
