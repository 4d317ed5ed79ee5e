import { CLOSE, type DeviceSocket } from './device-socket.ts';

const MIN_PAUSE_MS = 50;
const MAX_BUFFERED_BYTES = 65_536;

/**
 * Sends `{"scopes":[…]}`, at most one notice per socket in 50 ms: the first one goes at once, what comes
 * meanwhile goes together. One timer for all sockets. A socket whose client does not read is closed: its
 * notices would pile up here, and it pulls when it comes back.
 */
export class SendNotices {
  readonly #onSlow: () => void;
  #due = new Map<DeviceSocket, Set<string>>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onSlow told each time a socket is closed because its client does not read */
  constructor(onSlow: () => void) {
    this.#onSlow = onSlow;
  }

  add(socket: DeviceSocket, scope: string): void {
    const scopes = this.#due.get(socket) ?? new Set();
    scopes.add(scope);
    this.#due.set(socket, scopes);
    // In the next turn of the event loop: everything that one piece of news brings is in one notice.
    this.#timer ??= setTimeout(() => this.#send(), 0);
  }

  forget(socket: DeviceSocket): void {
    this.#due.delete(socket);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#due.clear();
  }

  #send(): void {
    const due = this.#due;
    this.#due = new Map();
    for (const [socket, scopes] of due) {
      if (socket.readyState !== socket.OPEN) continue;
      // One that names thousands of scopes, as the first one may, is under way for a while.
      if (socket.bufferedAmount <= MAX_BUFFERED_BYTES + socket.longestNotice) {
        const notice = JSON.stringify({ scopes: [...scopes].sort() });
        socket.longestNotice = Math.max(socket.longestNotice, notice.length);
        socket.send(notice);
        continue;
      }
      socket.end(CLOSE.tooSlow, 'notices are not read');
      this.#onSlow();
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#due.size > 0) this.#send();
    }, MIN_PAUSE_MS);
  }
}
