import { revokeDevice } from '@sync/e2e-device';
import type { TicketResponse } from '@sync/protocol';
import { WebSocket } from 'ws';
import { type Bound, anotherDevice, appendStatements, boundUser, platform } from './kit/platform.ts';

function liveUrl(ticket: string): string {
  const url = new URL('/sync/v1/live', platform().gateway);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('ticket', ticket);
  return url.href;
}

const ticketOf = async (device: Bound['device']): Promise<string> =>
  (await device.call<TicketResponse>('/sync/v1/tickets', {})).ticket;

async function openLive(device: Bound['device']): Promise<WebSocket> {
  const socket = new WebSocket(liveUrl(await ticketOf(device)));
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

const closed = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => socket.once('close', resolve));

describe('live', () => {
  it('says which scopes have something new', async () => {
    const user = await boundUser();
    const reader = await anotherDevice(user);
    const socket = await openLive(reader);
    const notice = new Promise<string>((resolve) => {
      socket.once('message', (data: Buffer) => resolve(data.toString()));
    });
    appendStatements(user.device, user.scope, 1);
    await user.device.push();
    expect(JSON.parse(await notice)).toEqual({ scopes: [user.scope] });
    socket.close();
  });

  it('gives a ticket of 30 s for one use', async () => {
    const { device, scope } = await boundUser();
    const { ticket, expiresAt, serverTime } = await device.call<TicketResponse>('/sync/v1/tickets', {});
    const lifetimeMs = Date.parse(expiresAt) - Date.parse(serverTime);
    expect(lifetimeMs).toBeLessThanOrEqual(30_000);
    expect(lifetimeMs).toBeGreaterThan(29_000);
    const sockets = [new WebSocket(liveUrl(ticket)), new WebSocket(liveUrl(ticket))];
    for (const socket of sockets) socket.on('error', () => undefined);
    const notices = sockets.map((socket) => new Promise((resolve) => socket.once('message', resolve)));
    // An open socket may still be waiting for its ticket to be redeemed: either of the two may be the one.
    expect([4401, 1006]).toContain(await Promise.race(sockets.map(closed)));
    appendStatements(device, scope, 1);
    await device.push();
    await Promise.race(notices);
    expect(sockets.filter(({ readyState }) => readyState === WebSocket.OPEN)).toHaveLength(1);
    for (const socket of sockets) socket.close();
  });

  it.each([
    ['no ticket', ''],
    ['a forged ticket', 'AAAAAAAAAAAAAAAAAAAA'],
  ])('refuses %s', async (_name, ticket) => {
    const socket = new WebSocket(liveUrl(ticket));
    socket.on('error', () => undefined);
    expect([4401, 1006]).toContain(await closed(socket));
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
