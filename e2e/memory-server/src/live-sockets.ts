import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Caller, TestServer } from '@sync/client-testing';
import { LIMITS, type LiveNotice, type TicketResponse } from '@sync/protocol';
import { type WebSocket, WebSocketServer } from 'ws';

const PATH = '/sync/v1/live';
const BAD_TICKET = 4401;
const REVOKED = 4403;
const CLOSE_LIMIT_MS = 500;

/** Sockets that tell of scopes in which there is something new (LIVE-1 to 3, 7 and 8). */
export class LiveSockets {
  readonly #server: TestServer;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #tickets = new Map<string, { readonly caller: Caller; readonly untilMs: number }>();

  constructor(server: TestServer) {
    this.#server = server;
  }

  ticketFor(caller: Caller): TicketResponse {
    const nowMs = Date.now();
    const untilMs = nowMs + LIMITS.ticketLifetimeMs;
    const ticket = randomBytes(24).toString('base64url');
    this.#tickets.set(ticket, { caller, untilMs });
    return {
      serverTime: new Date(nowMs).toISOString(),
      ticket,
      expiresAt: new Date(untilMs).toISOString(),
    };
  }

  open(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '', 'http://localhost');
    if (url.pathname !== PATH) {
      stream.destroy();
      return;
    }
    const ticket = url.searchParams.get('ticket') ?? '';
    this.#sockets.handleUpgrade(request, stream, head, (socket) => this.#redeem(socket, ticket));
  }

  stop(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
  }

  /** For one use. */
  #redeem(socket: WebSocket, ticket: string): void {
    const known = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    const device = known && this.#server.deviceOf(known.caller);
    if (!device || known.untilMs < Date.now()) {
      end(socket, BAD_TICKET);
      return;
    }
    const stop = this.#server.follow(known.caller, (scopes) => {
      if (scopes === null) end(socket, REVOKED);
      else socket.send(JSON.stringify({ scopes: [...scopes] } satisfies LiveNotice));
    });
    socket.on('close', stop);
    if (device.isRevoked) end(socket, REVOKED);
  }
}

/** Whether its client answers or not. */
function end(socket: WebSocket, code: number): void {
  socket.close(code);
  setTimeout(() => socket.terminate(), CLOSE_LIMIT_MS).unref();
}
