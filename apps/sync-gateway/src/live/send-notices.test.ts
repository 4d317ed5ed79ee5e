import { expect, it } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { until } from '../testing/until.ts';
import { DeviceSocket } from './device-socket.ts';
import { SendNotices } from './send-notices.ts';

const SCOPES = Array.from({ length: 2_000 }, (_each, at) => `course:${'x'.repeat(100)}${at}`);

/** A socket whose client reads nothing: what is sent piles up at once. */
function unread(): DeviceSocket {
  const stream = new Duplex({ read: () => undefined, write: () => undefined });
  const fields = {
    upgrade: 'websocket',
    'sec-websocket-key': `${'A'.repeat(22)}==`,
    'sec-websocket-version': '13',
  };
  const request = { method: 'GET', headers: fields } as unknown as IncomingMessage;
  const opened: DeviceSocket[] = [];
  const server = new WebSocketServer({ noServer: true, WebSocket: DeviceSocket });
  server.handleUpgrade(
    request,
    Object.assign(stream, { setTimeout: () => stream, setNoDelay: () => stream }),
    Buffer.alloc(0),
    (socket) => opened.push(socket),
  );
  const [socket] = opened;
  if (!socket) throw new Error('no handshake');
  return socket;
}

it('bears one long notice that is still on its way, and no second one', async () => {
  let slow = 0;
  const notices = new SendNotices(() => (slow += 1));
  const socket = unread();
  const sent = async (scopes: readonly string[]): Promise<void> => {
    const before = socket.bufferedAmount;
    for (const scope of scopes) notices.add(socket, scope);
    await until(() => (socket.bufferedAmount > before || slow > 0 ? true : null));
  };
  await sent(SCOPES);
  await sent(['course:a']);
  await sent(['course:b']);
  expect([slow, socket.readyState]).toEqual([0, socket.OPEN]);
  await sent(SCOPES);
  await sent(['course:c']);
  expect([slow, socket.readyState]).toEqual([1, socket.CLOSING]);
  notices.stop();
  socket.terminate();
});
