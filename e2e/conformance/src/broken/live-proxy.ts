import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveNotice } from '@sync/protocol';
import { WebSocket, WebSocketServer } from 'ws';

/** A notice as it is sent. */
export interface Notice extends LiveNotice {
  /** How long the proxy keeps it before it sends it. */
  readonly heldMs?: number;
}

/** What a proxy makes of the live socket. What is left out passes as it is. */
export interface LiveDistortion {
  /** @returns the ticket that the server is shown */
  readonly ticket?: (ticket: string) => string;
  /**
   * @param place counts the notices of this socket, from 0
   * @returns what the device is told; null: nothing
   */
  readonly notice?: (notice: Notice, place: number) => Notice | null;
  /** @returns the code that the device sees; null: it sees none, and its socket stays open */
  readonly close?: (code: number, tell: (notice: Notice) => void) => number | null;
  /** Told of each socket once it is open. @param end closes it */
  readonly opened?: (end: (code: number) => void) => void;
  /** A client that does not answer a close is not cut off. */
  readonly lingers?: true;
}

/** For a client to answer a close (LIVE-7). */
const CLOSE_LIMIT_MS = 500;

/** What is to be known of the sockets. */
interface Watcher {
  /** Something was not the server’s own. */
  distorted(): void;
  /** The proxy itself has failed. */
  failed(error: unknown): void;
}

/** Passes the live sockets of devices on to a server, each as a socket of its own. */
export class LiveProxy {
  readonly #gateway: URL;
  readonly #distortion: LiveDistortion;
  readonly #watcher: Watcher;
  readonly #server = new WebSocketServer({ noServer: true });

  constructor(gateway: URL, distortion: LiveDistortion, watcher: Watcher) {
    this.#gateway = gateway;
    this.#distortion = distortion;
    this.#watcher = watcher;
  }

  /** Opens no socket of the device before the server has opened one. */
  open(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', this.#gateway);
    const ticket = url.searchParams.get('ticket');
    if (ticket !== null) {
      url.searchParams.set('ticket', this.#noted(ticket, this.#distortion.ticket?.(ticket) ?? ticket));
    }
    const behind = new WebSocket(url);
    stream.once('close', () => behind.terminate());
    behind.once('unexpected-response', () => stream.destroy());
    behind.on('error', (error) => {
      if (!stream.destroyed) this.#watcher.failed(error);
      stream.destroy();
    });
    behind.once('open', () => {
      this.#server.handleUpgrade(request, stream, head, (device) => this.#join(device, behind));
    });
  }

  stop(): void {
    for (const device of this.#server.clients) device.terminate();
  }

  #join(device: WebSocket, behind: WebSocket): void {
    const { notice: changeNotice, close: changeClose, opened } = this.#distortion;
    const tell = async ({ heldMs, ...notice }: Notice): Promise<void> => {
      if (heldMs !== undefined) await sleep(heldMs, undefined, { ref: false });
      if (device.readyState === WebSocket.OPEN) device.send(JSON.stringify(notice));
    };
    let place = 0;
    behind.on('message', (data: Buffer) => {
      const given = JSON.parse(data.toString()) as Notice;
      const told = this.#noted(given, changeNotice ? changeNotice(given, place) : given);
      place += 1;
      if (told) void tell(told);
    });
    behind.on('close', (code, reason) => {
      const shown = this.#noted(code, changeClose ? changeClose(code, (notice) => void tell(notice)) : code);
      // Codes that nobody sends: without a word, and without a code.
      if (shown === 1006) device.terminate();
      else if (shown === 1005) device.close();
      else if (shown !== null) this.#end(device, shown, reason);
    });
    opened?.((code) => this.#end(device, this.#noted(null, code)));
    device.on('message', (data: Buffer) => behind.send(data));
    device.on('error', () => device.terminate());
  }

  #end(device: WebSocket, code: number, reason?: Buffer): void {
    device.close(code, reason);
    if (this.#noted(undefined, this.#distortion.lingers)) return;
    setTimeout(() => device.terminate(), CLOSE_LIMIT_MS).unref();
  }

  #noted<Given, Shown>(given: Given, shown: Shown): Shown {
    if (!Object.is(given, shown)) this.#watcher.distorted();
    return shown;
  }
}
