import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Database } from '@sync/postgres';
import { endWithProblem, type Logger, ProblemError } from '@sync/service-kit';
import { type Server, type WebSocket, WebSocketServer } from 'ws';
import type { DeviceBindings, DeviceKey } from '../access/device-bindings.ts';
import { roomForOneMore } from '../edge/device-room.ts';
import { type News, type UserKey, userKeyText } from '../heads/gateway-news.ts';
import type { RecordDeviceSeen } from '../presence/record-device-seen.ts';
import { CLOSE, DeviceSocket, type SocketUser } from './device-socket.ts';
import { SendNotices } from './send-notices.ts';
import { SocketUsers } from './socket-users.ts';
import { reconnectAfterMs } from './spread-reconnects.ts';
import type { RedeemedTicket, Tickets } from './tickets.ts';

export interface LiveSocketsOptions {
  readonly tickets: Tickets;
  readonly bindings: DeviceBindings;
  readonly database: Pick<Database, 'call'>;
  readonly deviceSeen: RecordDeviceSeen;
  readonly maxSockets: number;
  /** Told each time a socket is closed because its client does not read. */
  readonly onSlow: () => void;
  readonly logger: Logger;
}

const PING_SECONDS = 30;
/** Every so many pings a device's binding is verified again, in case its revocation notice never came. */
const PINGS_PER_VERIFICATION = 10;
const TOO_MANY = 'too many sockets of this device';
/** No key of a user: those have their tenant in front. */
const ANYBODY = '';
const NO_TENANTS: ReadonlySet<string> = new Set();
/** Clients have nothing to say here. */
const MAX_MESSAGE_BYTES = 1_024;

/**
 * `WS /sync/v1/live`: tells connected devices which of their scopes have something new.
 *
 * Memory is the limit, not work: no per-socket timer, no per-socket closure, no compression state. Pings go
 * out from one timer, a thirtieth of the sockets each second. **Invariant**: a socket in `#users` belongs to
 * a device that was bound when its ticket was redeemed and whose revocation has not been heard of.
 */
export class LiveSockets {
  readonly #options: LiveSocketsOptions;
  readonly #server: Server<typeof DeviceSocket>;
  readonly #users = new SocketUsers();
  readonly #notices: SendNotices;
  readonly #pingSlots: Set<DeviceSocket>[] = Array.from({ length: PING_SECONDS }, () => new Set());
  readonly #toReload = new Map<string, UserKey>();
  readonly #arriving = new Map<DeviceSocket, Set<string>>();
  #second = 0;
  #size = 0;
  #pingTimer: NodeJS.Timeout | undefined;
  #reloading = false;
  #draining = false;

  constructor(options: LiveSocketsOptions) {
    this.#options = options;
    this.#notices = new SendNotices(options.onSlow);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      WebSocket: DeviceSocket,
    });
    // Without a listener the library answers in plain text.
    this.#server.on('wsClientError', (error, stream) =>
      endWithProblem(
        stream,
        new ProblemError('malformed_request', `No WebSocket handshake: ${error.message}`),
      ),
    );
  }

  get size(): number {
    return this.#size;
  }

  start(): void {
    this.#pingTimer = setInterval(() => this.#ping(), 1_000).unref();
  }

  /** Closes all sockets and opens no more; their clients come back after a pause, to another replica. */
  drain(): void {
    this.#draining = true;
    clearInterval(this.#pingTimer);
    this.#notices.stop();
    const together = this.#size;
    for (const socket of this.#allSockets()) {
      const pauseMs = reconnectAfterMs(together, Math.random());
      socket.close(CLOSE.serviceRestart, `retry-after-ms=${pauseMs}`);
    }
    // A client that does not answer the close frame must not hold the drain up.
    setTimeout(() => {
      for (const socket of this.#allSockets()) socket.terminate();
    }, 1_000).unref();
  }

  /**
   * Takes a connection over; the ticket is redeemed with the socket open, so that a browser sees the close
   * code.
   * @param onProven told when the ticket holds
   */
  accept(request: IncomingMessage, stream: Duplex, head: Buffer, ticket: string, onProven: () => void): void {
    if (this.#draining || this.#size >= this.#options.maxSockets) {
      const headers = { 'retry-after': this.#draining ? '1' : '5' };
      endWithProblem(stream, new ProblemError('unavailable', 'No room for a socket here', { headers }));
      return;
    }
    this.#server.handleUpgrade(request, stream, head, (socket) => {
      this.#size += 1;
      this.#pingSlots[this.#size % PING_SECONDS]?.add(socket);
      socket.on('close', this.#onClose).on('pong', this.#onPong).on('error', ignore).on('message', ignore);
      void this.#admit(socket, ticket, onProven);
    });
  }

  isConnected(device: DeviceKey): boolean {
    return this.#users.socketsOf(device).length > 0;
  }

  *tenants(): Generator<string> {
    for (const { tenantId } of this.#users.all()) yield tenantId;
  }

  /** Devices with an open socket, each as often as it has one. */
  *devices(): Generator<DeviceKey> {
    for (const { device } of this.#allSockets()) if (device) yield device;
  }

  notice(news: News): void {
    for (const { tenantId, scope } of news.scopes ?? []) {
      for (const user of this.#users.holdersOf(tenantId, scope)) this.#noticeUser(user, [scope]);
    }
    for (const device of news.devices ?? []) this.#noticeDevice(device);
    for (const user of news.users ?? []) this.#reloadLater(user);
    if (news.everything) this.passedOver(NO_TENANTS);
  }

  /**
   * Changes of all tenants but these were passed over, and nobody will look for them again. Whose socket is
   * arriving is not known yet.
   */
  passedOver(looked: ReadonlySet<string>): void {
    for (const users of this.#arriving.values()) users.add(ANYBODY);
    for (const user of this.#users.all()) {
      if (looked.has(user.tenantId)) continue;
      this.#noticeUser(user, user.scopes);
      this.#reloadLater(user);
    }
  }

  revoke(device: DeviceKey): void {
    for (const socket of this.#users.socketsOf(device)) socket.end(CLOSE.deviceRevoked, 'device_revoked');
  }

  async #admit(socket: DeviceSocket, ticket: string, onProven: () => void): Promise<void> {
    const { tickets, logger } = this.#options;
    // News of grants that come between the look-up and the registration would find nobody.
    this.#arriving.set(socket, new Set());
    try {
      const redeemed = await tickets.redeem(ticket);
      if (redeemed) onProven();
      if (redeemed) await this.#register(socket, redeemed);
      else socket.end(CLOSE.ticketInvalid, 'ticket_invalid');
    } catch (error) {
      if (!(error instanceof ProblemError)) logger.warn({ err: error }, 'a ticket could not be redeemed');
      socket.end(CLOSE.unavailable, 'unavailable');
    } finally {
      this.#arriving.delete(socket);
    }
  }

  async #register(socket: DeviceSocket, { device, scopes }: RedeemedTicket): Promise<void> {
    const { status } = await this.#options.bindings.find(device);
    if (status !== 'bound') socket.end(CLOSE.deviceRevoked, 'device_revoked');
    if (socket.readyState !== socket.OPEN || !this.#makeRoom(socket, device)) return;
    const others = [...(this.#users.find(device)?.sockets ?? [])];
    const moved = this.#users.add(socket, device, scopes);
    // The news of it may be still to come, and then finds no difference.
    this.#noticeUser({ sockets: others }, moved);
    // What was committed while its ticket was redeemed was told to no socket, and its client has perhaps
    // pulled before that: it began to when the socket opened.
    for (const scope of scopes) this.#notices.add(socket, scope);
    const missed = this.#arriving.get(socket);
    if (missed?.has(ANYBODY) || missed?.has(userKeyText(device))) this.#reloadLater(device);
    this.#options.deviceSeen.record(device, {});
  }

  /** @returns false when the socket was closed because its device has too many that were not closed yet */
  #makeRoom(socket: DeviceSocket, device: DeviceKey): boolean {
    const room = roomForOneMore(this.#users.socketsOf(device), performance.now());
    if (room.kind === 'refused') socket.end(CLOSE.replaced, TOO_MANY);
    if (room.kind !== 'oldest') return room.kind === 'free';
    const { oldest, afterMs } = room;
    oldest.leaving = true;
    if (afterMs === 0) oldest.end(CLOSE.replaced, TOO_MANY);
    else setTimeout(() => oldest.end(CLOSE.replaced, TOO_MANY), afterMs).unref();
    return true;
  }

  /** Shared by all sockets; `this` is the socket. */
  readonly #onClose = ((sockets: LiveSockets) =>
    function onClose(this: WebSocket): void {
      if (this instanceof DeviceSocket) sockets.#leave(this);
    })(this);

  readonly #onPong = ((sockets: LiveSockets) =>
    function onPong(this: WebSocket): void {
      if (!(this instanceof DeviceSocket)) return;
      this.answered = true;
      if (this.device) sockets.#options.deviceSeen.record(this.device, {});
    })(this);

  #leave(socket: DeviceSocket): void {
    const { device } = socket;
    this.#size -= 1;
    this.#users.remove(socket);
    this.#notices.forget(socket);
    for (const slot of this.#pingSlots) if (slot.delete(socket)) break;
    if (device) this.#options.deviceSeen.record(device, {});
  }

  #ping(): void {
    this.#second = (this.#second + 1) % PING_SECONDS;
    for (const socket of this.#pingSlots[this.#second] ?? []) {
      if (!socket.answered) {
        socket.terminate();
        continue;
      }
      socket.answered = false;
      socket.ping();
      socket.pings += 1;
      if (socket.pings % PINGS_PER_VERIFICATION === 0) void this.#verify(socket);
    }
  }

  /** While the identity service does not answer, a device that was bound stays connected. */
  async #verify(socket: DeviceSocket): Promise<void> {
    const { device } = socket;
    if (!device) return;
    try {
      const { status } = await this.#options.bindings.verify(device);
      if (status !== 'bound') socket.end(CLOSE.deviceRevoked, 'device_revoked');
    } catch {
      // Asked about with the next ping.
      socket.pings = PINGS_PER_VERIFICATION - 1;
    }
  }

  #noticeUser(user: Pick<SocketUser, 'sockets'>, scopes: readonly string[]): void {
    for (const socket of user.sockets) for (const scope of scopes) this.#notices.add(socket, scope);
  }

  /** An outcome waits: the own user scope stands for it. */
  #noticeDevice(device: DeviceKey): void {
    for (const socket of this.#users.socketsOf(device)) this.#notices.add(socket, `user:${device.userId}`);
  }

  #reloadLater(user: UserKey): void {
    const key = userKeyText(user);
    for (const users of this.#arriving.values()) users.add(key);
    if (!this.#users.find(user)) return;
    this.#toReload.set(key, { tenantId: user.tenantId, userId: user.userId });
    if (!this.#reloading) void this.#reload();
  }

  /**
   * One user after the other: a course that is granted to thousands must not take the database from pulls.
   */
  async #reload(): Promise<void> {
    this.#reloading = true;
    for (const [key, user] of this.#toReload) {
      this.#toReload.delete(key);
      try {
        const rows = await this.#options.database.call<{ scope: string }>(
          'scopes_of_user',
          'SELECT scope FROM scopes_of_user($1, $2) AS scope',
          [user.tenantId, user.userId],
        );
        const connected = this.#users.find(user);
        if (!connected) continue;
        this.#noticeUser(
          connected,
          this.#users.setScopes(
            connected,
            rows.map(({ scope }) => scope),
          ),
        );
      } catch (error) {
        this.#options.logger.warn(
          { err: error, userId: user.userId },
          'grants of a connected user could not be read',
        );
        this.#toReload.set(key, user);
        await new Promise((resolve) => setTimeout(resolve, 1_000).unref());
      }
    }
    this.#reloading = false;
  }

  *#allSockets(): Generator<DeviceSocket> {
    for (const slot of this.#pingSlots) yield* slot;
  }
}

function ignore(): void {
  // A client has nothing to say here, and a broken connection is followed by its `close`.
}
