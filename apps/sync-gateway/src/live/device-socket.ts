import { WebSocket } from 'ws';
import type { DeviceKey } from '../access/device-bindings.ts';

/** A user with at least one socket here. */
export interface SocketUser {
  readonly tenantId: string;
  readonly userId: string;
  /** Held scopes as of the last look. */
  scopes: readonly string[];
  readonly sockets: DeviceSocket[];
}

/** For a client to answer a close frame; a revoked device is gone within a second. */
const CLOSE_LIMIT_MS = 500;
/**
 * For a slow client: megabytes of notices may be before the close frame in the kernel's buffers. With half a
 * second it would lose the frame, and would see code 1006 in place of the reason.
 */
const SLOW_CLOSE_LIMIT_MS = 10_000;

/** Close codes of `/sync/v1/live`, beside the standard ones. */
export const CLOSE = {
  serviceRestart: 1012,
  ticketInvalid: 4401,
  deviceRevoked: 4403,
  tooSlow: 4408,
  replaced: 4409,
  unavailable: 4503,
} as const;

/**
 * One live socket. Its few own fields stand on the socket itself, and its listeners are shared functions: ten
 * thousand idle sockets are ten thousand times whatever one of them holds.
 */
export class DeviceSocket extends WebSocket {
  user: SocketUser | null = null;
  deviceId = '';
  /** When it was opened: monotonic, milliseconds, whole. */
  readonly sinceMs = Math.floor(performance.now());
  /** It was asked to make room for another socket of its device. */
  leaving = false;
  /** Answered the last ping. */
  answered = true;
  /** Of those that were sent on it, in characters, which are bytes here. */
  longestNotice = 0;
  /** Pings sent: every so many of them the device's binding is verified again. */
  pings = 0;

  /**
   * Closes for good: a client that does not answer the close frame would keep its place for half a minute, and
   * one that was revoked would still be there.
   */
  end(code: number, reason: string): void {
    this.close(code, reason);
    const limitMs = code === CLOSE.tooSlow ? SLOW_CLOSE_LIMIT_MS : CLOSE_LIMIT_MS;
    setTimeout(() => this.terminate(), limitMs).unref();
  }

  get device(): DeviceKey | null {
    const { user, deviceId } = this;
    return user ? { tenantId: user.tenantId, userId: user.userId, deviceId } : null;
  }
}
