import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from './logger.ts';
import { type DrainStep, endWithin, MIN_STEP_MS, trySteps } from './try-steps.ts';

export interface DrainOptions {
  readonly logger: Logger;
  /** How long the service works on as usual after it has said that it is not ready. */
  readonly drainReadinessMs: number;
  /** While requests are still taken: ends long polls and sockets. */
  readonly onDrainStart: readonly DrainStep[];
  /**
   * After the last request: consumers, relays, connections; in order, each whatever becomes of the others.
   */
  readonly onDrain: readonly DrainStep[];
}

/**
 * Counted from the moment at which the service stops to work as usual. Where nothing ends, the first part is
 * given up at the last limit and each one after it half a second later: also with the twelve of the resolver
 * it is over before deployments kill, which is 20 s after that moment at the earliest (docs/guides/run-it.md).
 */
const ENDINGS_LIMIT_MS = 3_000;
const REQUESTS_LIMIT_MS = 10_000;
const PARTS_LIMIT_MS = 13_000;
const SWEEP_MS = 50;

/**
 * The end of a service behind a balancer, in an order in which no request fails. `begin` makes
 * `/health/ready` answer 503. For `drainReadinessMs` all work goes on, so that balancers notice and send new
 * requests elsewhere; each answer ends its connection, because an idle connection that is closed under a
 * balancer takes the request with it that is on its way. Then long polls and sockets are ended, then the
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
    const fromMs = performance.now();
    await trySteps(onDrainStart, fromMs + ENDINGS_LIMIT_MS, logger);
    await this.#closeUntil(fromMs + REQUESTS_LIMIT_MS).catch((error: unknown) => {
      logger.warn({ err: error, event: 'drain_step_failed' }, 'the listener did not close in order');
    });
    await trySteps(onDrain, fromMs + PARTS_LIMIT_MS, logger);
    logger.info({ event: 'stopped' }, 'drained');
  }

  /**
   * Stops listening and waits for open requests. Two kinds of connections are closed by nobody (Fastify
   * closes only those idle at the start), hence the sweep: one whose answer had begun before the drain, and
   * one on which nothing was ever asked. A client that never finishes must not keep the process alive, nor
   * must a consumer of Nest's that waits for a silent Postgres: hence the limit.
   */
  async #closeUntil(untilMs: number): Promise<void> {
    const sweep = setInterval(() => {
      this.#server.closeIdleConnections();
      for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    }, SWEEP_MS);
    try {
      const closed = this.#app.close();
      const leftMs = Math.max(MIN_STEP_MS, untilMs - performance.now());
      if (await Promise.race([closed.then(() => true), sleep(leftMs, false, { ref: false })])) return;
      this.#options.logger.warn({ event: 'drain_limit' }, 'requests or consumers were still at work');
      this.#server.closeAllConnections();
      await endWithin(() => closed, MIN_STEP_MS);
    } finally {
      clearInterval(sweep);
    }
  }
}
