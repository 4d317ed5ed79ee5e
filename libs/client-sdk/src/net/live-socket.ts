import type { TicketResponse } from '@sync/protocol';
import { LIVE_CLOSE_CODES } from '@sync/protocol/device';
import { type Clock, systemClock } from '../clock/clock.ts';
import { pauseMs, type SocketEnd, STEADY_MS } from './live-pause.ts';
import type { Failure, LiveLine, LiveListener, Transport } from './transport.ts';

/** As much of a WebSocket as is needed: that of a browser, of React Native, of Node 22, or of `ws`. */
export interface SocketLike {
  /** For `open`, `message`, `error` and `close`. */
  addEventListener(type: string, listener: (event: unknown) => void): void;
  /** Ends it, with or without an answer. */
  close(): void;
}

/** What a {@link LiveSocket} works with. */
export interface LiveSocketOptions extends LiveListener {
  readonly gatewayUrl: string;
  readonly transport: Transport;
  /** `new WebSocket(url)` unless given; Node has one of its own from version 22 on. */
  readonly openSocket?: (url: string) => SocketLike;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

const TICKET_LIMIT_MS = 20_000;
/** A ticket is good for 30 s; platforms wait for a handshake for minutes. */
const HANDSHAKE_LIMIT_MS = 15_000;
/** `wake` may be called by whatever an app believes to be a reason. */
const WAKE_PAUSE_MS = 5_000;
const MAX_NOTICE_LENGTH = 1_048_576;

/**
 * The hint channel of a device (LIVE-1 to LIVE-7): one socket, that comes back by itself, and after growing
 * pauses while it fails. It only says when to pull, so that a device which has none loses time and nothing
 * else. Pull from time to time all the same: a line that died without a word looks like a quiet one.
 */
export class LiveSocket implements LiveLine {
  readonly #options: LiveSocketOptions;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #failures = 0;
  /** Ends whatever is under way: a pause, a handshake, a socket. */
  #stop: () => void = () => undefined;
  #isWaiting = false;
  #isTired = false;
  #untire: () => void = () => undefined;

  constructor(options: LiveSocketOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    // Not before whoever makes it has it.
    void Promise.resolve().then(() => (this.#isClosed ? undefined : this.#connect()));
  }

  /** For good; nothing is called any more. */
  close(): void {
    this.#controller.abort();
    this.#stop();
    this.#untire();
  }

  /** There may be a network again: a pause ends now, though not more often than every five seconds. */
  wake(): void {
    if (!this.#isWaiting || this.#isTired) return;
    this.#isTired = true;
    this.#untire = this.#clock.setTimer(WAKE_PAUSE_MS, () => (this.#isTired = false));
    this.#stop();
    void this.#connect();
  }

  get #isClosed(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Each time with a request that is signed anew: one is good for five seconds (LIVE-6). */
  async #connect(): Promise<void> {
    this.#isWaiting = false;
    this.#options.onState({ kind: 'connecting' });
    const answer = await this.#options.transport.send<TicketResponse>({
      ...{ method: 'POST', path: '/sync/v1/tickets', timeoutMs: TICKET_LIMIT_MS },
      signal: this.#controller.signal,
    });
    if (this.#isClosed) return;
    const ticket: unknown = answer.ok ? answer.body.ticket : null;
    if (typeof ticket === 'string') this.#open(ticket);
    else this.#failed(answer.ok ? null : answer);
  }

  #failed(failure: Failure | null): void {
    const why = failure?.kind;
    if (why === 'revoked' || why === 'not_bound') this.#end(why);
    else {
      const { retryAfterMs = null } = failure ?? {};
      this.#pause({ code: null, reason: '', wasSteady: false, retryAfterMs }, failure);
    }
  }

  #open(ticket: string): void {
    const socket = this.#tryToOpen(ticket);
    if (!socket) {
      this.#failed(null);
      return;
    }
    let isOver = false;
    let wasSteady = false;
    let cancelTimer = this.#clock.setTimer(HANDSHAKE_LIMIT_MS, () => over(null, 'no handshake'));
    const stop = (): void => {
      isOver = true;
      cancelTimer();
      socket.close();
    };
    const over = (code: number | null, reason: string): void => {
      if (isOver) return;
      stop();
      this.#closed({ code, reason, wasSteady, retryAfterMs: null });
    };
    this.#stop = stop;
    socket.addEventListener('open', () => {
      if (isOver) return;
      cancelTimer();
      cancelTimer = this.#clock.setTimer(STEADY_MS, () => {
        wasSteady = true;
        this.#failures = 0;
      });
      this.#options.onState({ kind: 'open' });
    });
    socket.addEventListener('message', (event) => {
      const scopes = isOver ? null : scopesOf((event as { readonly data?: unknown }).data);
      if (scopes) this.#options.onNotice(scopes);
    });
    // It is closed after an error, too; without a listener `ws` would throw.
    socket.addEventListener('error', () => undefined);
    socket.addEventListener('close', (event) => {
      const { code, reason } = event as { readonly code?: number; readonly reason?: string };
      over(code ?? null, reason ?? '');
    });
  }

  /** @returns null where it cannot even be tried: no WebSocket here, or a policy of the page forbids it */
  #tryToOpen(ticket: string): SocketLike | null {
    const { gatewayUrl, openSocket = (url: string): SocketLike => new WebSocket(url) } = this.#options;
    const base = gatewayUrl.replace(/^http/i, 'ws').replace(/\/+$/, '');
    try {
      return openSocket(`${base}/sync/v1/live?ticket=${encodeURIComponent(ticket)}`);
    } catch {
      return null;
    }
  }

  #closed(end: SocketEnd): void {
    if (end.code === LIVE_CLOSE_CODES.deviceRevoked.code) this.#end('revoked');
    else this.#pause(end, null);
  }

  #pause(end: SocketEnd, failure: Failure | null): void {
    this.#failures += 1;
    const ms = pauseMs(end, this.#failures, (this.#options.random ?? Math.random)());
    this.#isWaiting = true;
    this.#stop = this.#clock.setTimer(ms, () => void this.#connect());
    this.#options.onState({ kind: 'waiting', ms, code: end.code, failure });
  }

  #end(why: 'revoked' | 'not_bound'): void {
    this.close();
    this.#options.onState({ kind: 'ended', why });
  }
}

/** @returns null for what is no LiveNotice: a newer server may say other things, too */
function scopesOf(data: unknown): readonly string[] | null {
  if (typeof data !== 'string' || data.length > MAX_NOTICE_LENGTH) return null;
  try {
    const notice = JSON.parse(data) as { readonly scopes?: unknown } | null;
    const scopes: unknown = notice?.scopes;
    return Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string') ? scopes : null;
  } catch {
    return null;
  }
}
