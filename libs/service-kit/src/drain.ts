import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from './logger.ts';
import { type DrainStep, trySteps } from './try-steps.ts';

export interface DrainOptions {
  readonly logger: Logger;
  /** How long the service works on as usual after it has said that it is not ready. */
  readonly drainReadinessMs: number;
  /** While requests are still taken: ends long polls and sockets. */
  readonly onDrainStart: readonly DrainStep[];
  /** After the last request: consumers, relays, connections; in order, each whatever becomes of the others. */
  readonly onDrain: readonly DrainStep[];
}

const REQUEST_LIMIT_MS = 10_000;
const SWEEP_MS = 50;

/**
 * The end of a service behind a balancer, in an order in which no request fails. `begin` makes `/health/ready` answer 503. For `drainReadinessMs` all
 * work goes on, so that balancers notice and send new requests elsewhere; each answer ends its connection, because an idle
 * connection that is closed under a balancer takes the request with it that is on its way. Then long polls and sockets are ended, then the
 * listener, and after the last open request the rest.
 */
export class Drain {
  readonly #app: NestFastifyApplication;
  readonly #options: DrainOptions;
  readonly #sockets = new Set<Socket>();
  #draining = false;
  #done: Promise<void> | undefined;

  /** Before the app listens. */
  constructor(app: NestFastifyApplication, options: DrainOptions) {
    this.#app = app;
    this.#options = options;
    const sockets = this.#sockets;
    // One listener for all: a gateway has ten thousand idle connections.
    function forget(this: Socket): void {
      sockets.delete(this);
    }
    this.#server.on('connection', (socket: Socket) => sockets.add(socket.once('close', forget)));
    app
      .getHttpAdapter()
      .getInstance()
      .addHook('onSend', (_request, reply, _payload, done) => {
        if (this.#draining) void reply.header('connection', 'close');
        done();
      });
  }

  /** From the first moment on, before anything else has changed. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Resolves when everything has ended; a second call waits for the first one's end. */
  begin(): Promise<void> {
    this.#draining = true;
    this.#done ??= this.#run();
    return this.#done;
  }

  get #server(): Server {
    return this.#app.getHttpServer();
  }

  async #run(): Promise<void> {
    const { logger, drainReadinessMs, onDrainStart, onDrain } = this.#options;
    logger.info({ event: 'draining', drainReadinessMs }, 'not ready any more, working on for a while');
    if (drainReadinessMs > 0) await sleep(drainReadinessMs);
    await trySteps(onDrainStart, logger);
    await this.#closeWithinLimit().catch((error: unknown) => {
      logger.warn({ err: error, event: 'drain_step_failed' }, 'the listener did not close in order');
    });
    await trySteps(onDrain, logger);
    logger.info({ event: 'stopped' }, 'drained');
  }

  /**
   * Stops listening and waits for open requests. Two kinds of connections are closed by nobody (Fastify closes only those idle at the start), hence the
   * sweep: one whose answer had begun before the drain, and one on which nothing was ever asked. A client that
   * never finishes must not keep the process alive, hence the limit.
   */
  async #closeWithinLimit(): Promise<void> {
    const sweep = setInterval(() => {
      this.#server.closeIdleConnections();
      for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    }, SWEEP_MS);
    const limit = setTimeout(() => {
      this.#options.logger.warn(
        { event: 'drain_limit' },
        `requests were still open after ${REQUEST_LIMIT_MS} ms`,
      );
      this.#server.closeAllConnections();
    }, REQUEST_LIMIT_MS);
    try {
      await this.#app.close();
    } finally {
      clearInterval(sweep);
      clearTimeout(limit);
    }
  }
}
