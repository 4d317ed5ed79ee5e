import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverDevice } from '@sync/e2e-device';
import { WebSocket } from 'ws';
import type { Traffic } from './traffic.ts';

const RESTART = 1012;

/** A device that keeps a live socket open and comes back as LIVE-5 asks. */
export class LiveClient {
  readonly #gatewayUrl: string;
  readonly #device: DriverDevice;
  readonly #traffic: Traffic;
  #socket: WebSocket | undefined;
  #reopened = 0;

  constructor(gatewayUrl: string, device: DriverDevice, traffic: Traffic) {
    this.#gatewayUrl = gatewayUrl;
    this.#device = device;
    this.#traffic = traffic;
  }

  /** How often its replica stopped and it connected again. */
  get reopened(): number {
    return this.#reopened;
  }

  start(): void {
    this.#traffic.repeat(() => this.#stayConnected());
  }

  close(): void {
    this.#socket?.close();
  }

  async #stayConnected(): Promise<void> {
    let ticket = '';
    await this.#traffic.send('ticket', async () => {
      ticket = (await this.#device.call<{ ticket: string }>('/sync/v1/tickets', {})).ticket;
    });
    const url = `${this.#gatewayUrl.replace('http', 'ws')}/sync/v1/live?ticket=${encodeURIComponent(ticket)}`;
    const socket = new WebSocket(url);
    this.#socket = socket;
    if (this.#traffic.stopping) socket.close();
    const [code, reason] = await new Promise<[number, string]>((resolve) => {
      socket.on('error', (error) => this.#traffic.fail(`socket: ${error.message}`));
      socket.on('close', (number, text) => resolve([number, text.toString()]));
    });
    const pause = /^retry-after-ms=(\d+)$/.exec(reason)?.[1];
    if (code !== RESTART || pause === undefined) {
      this.#traffic.fail(`socket: closed with ${code} "${reason}"`);
      return;
    }
    this.#reopened += 1;
    await sleep(Number(pause));
  }
}
