import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWithProblem, ProblemError } from '@sync/service-kit';

/**
 * Bounds the connections of one address on which nobody has proven who he is. Behind a balancer all devices
 * share its address: their connections are proven by the first request that is let in, so that the bound is
 * about those who only connect.
 */
export class UnprovenConnections {
  readonly #max: number;
  readonly #counts = new Map<string, number>();
  /** Address by socket, which has none any more once it is closed. */
  readonly #unproven = new Map<Duplex, string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Before the server listens. */
  watch(server: Server): void {
    const prove = this.prove.bind(this);
    function forget(this: Socket): void {
      prove(this);
    }
    server.on('connection', (socket: Socket) => {
      if (this.#admit(socket)) socket.once('close', forget);
    });
  }

  /** Somebody was let in who comes by this connection, or it is closed. */
  prove(socket: Duplex): void {
    const address = this.#unproven.get(socket);
    if (address === undefined) return;
    this.#unproven.delete(socket);
    const left = (this.#counts.get(address) ?? 0) - 1;
    if (left > 0) this.#counts.set(address, left);
    else this.#counts.delete(address);
  }

  #admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#max) {
      const headers = { 'retry-after': '5' };
      endWithProblem(socket, new ProblemError('unavailable', 'Too many connections', { headers }));
      return false;
    }
    this.#counts.set(address, count + 1);
    this.#unproven.set(socket, address);
    return true;
  }
}
