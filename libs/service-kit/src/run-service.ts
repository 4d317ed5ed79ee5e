import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { Drain } from './drain.ts';
import { boundHttp, HTTP_BOUNDS, type HttpBounds, httpServerOptions } from './http-server.ts';
import type { Logger } from './logger.ts';
import { nestLogger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { observeRequests, operationsServer, type ReadinessCheck } from './operations.ts';
import { ProblemError } from './problem-error.ts';
import { ProblemFilter, sendProblem } from './problem-filter.ts';
import { endOfStart, onStopSignal } from './stop-signals.ts';
import type { DrainStep } from './try-steps.ts';

export interface ServiceOptions {
  readonly name: string;
  readonly module: DynamicModule | Type;
  readonly config: {
    readonly host: string;
    readonly port: number;
    /** For health and metrics; a free one by default. */
    readonly opsPort?: number;
    readonly drainReadinessMs: number;
  } & Partial<HttpBounds>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: readonly ReadinessCheck[];
  /** Bytes of a request body that Fastify itself accepts. */
  readonly bodyLimitBytes?: number;
  /** Before listening: content-type parsers, hooks, sockets. */
  readonly prepare?: (app: NestFastifyApplication) => void | Promise<void>;
  /**
   * At shutdown, when balancers have had their time and requests are still open: end long polls and sockets.
   */
  readonly onDrainStart?: readonly DrainStep[];
  /**
   * After the last request: consumers, relays, connections; in order, each whatever becomes of the others.
   */
  readonly onDrain?: readonly DrainStep[];
}

export interface RunningService {
  readonly url: string;
  /** Where health and metrics are. */
  readonly opsUrl: string;
  readonly app: NestFastifyApplication;
  /** Drains as SIGTERM does, without ending the process. */
  stop(): Promise<void>;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Runs one Nest service on Fastify until SIGTERM or SIGINT: health, readiness, metrics, problem+json, request
 * ids, graceful drain. When it accepts requests it logs one line with `event: "ready"` and its `url`.
 * @throws when the port is taken or a module cannot be built
 */
export async function runService(options: ServiceOptions): Promise<RunningService> {
  const { logger } = options;
  const bounds = { ...HTTP_BOUNDS, ...options.config };
  const adapter = new FastifyAdapter({
    bodyLimit: options.bodyLimitBytes ?? 1_048_576,
    ...httpServerOptions(bounds),
    // Ids have up to 128 characters; Fastify's own bound is 100.
    routerOptions: { maxParamLength: 128 },
    forceCloseConnections: 'idle',
    // A request that comes while the listener closes is answered like any other: what it needs is closed
    // after the last one.
    return503OnClosing: false,
    // A path that the router cannot read (bad escapes, a parameter of thousands of characters) is one that
    // does not exist; its own answer is no problem document and repeats the path.
    frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply) =>
      sendProblem(reply, new ProblemError('not_found', 'No such path')),
    genReqId: (request: { headers: Record<string, string | string[] | undefined> }) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
  });
  const app = await NestFactory.create<NestFastifyApplication>(options.module, adapter, {
    logger: nestLogger(logger),
    abortOnError: false,
  });
  app.useGlobalFilters(new ProblemFilter(logger));
  boundHttp(app, bounds);
  const drain = new Drain(app, {
    logger,
    drainReadinessMs: options.config.drainReadinessMs,
    onDrainStart: options.onDrainStart ?? [],
    onDrain: options.onDrain ?? [],
  });
  observeRequests(app, options.metrics);
  await options.prepare?.(app);
  await app.listen(options.config.port, options.config.host);
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  const operations = operationsServer({ ...options, isDraining: () => drain.draining });
  const { host, opsPort = 0 } = options.config;
  await once(operations.listen(opsPort, host), 'listening');
  const opsUrl = `http://${host}:${(operations.address() as AddressInfo).port}`;
  const stop = async (): Promise<void> => {
    await drain.begin();
    operations.close();
    operations.closeAllConnections();
  };
  exitOnSignals(logger, stop);
  // Whoever started the process waits for this line, whatever level it asked for.
  logger
    .child({}, { level: 'info' })
    .info({ event: 'ready', url, opsUrl, pid: process.pid }, `${options.name} is ready`);
  return { url, opsUrl, app, stop };
}

function exitOnSignals(logger: Logger, stop: () => Promise<void>): void {
  endOfStart();
  onStopSignal((signal) => {
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ err: error, signal }, 'the drain failed');
        process.exit(1);
      },
    );
  });
  process.once('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'an uncaught exception ends the process');
    process.exit(1);
  });
  process.once('unhandledRejection', (error) => {
    logger.fatal({ err: error }, 'an unhandled rejection ends the process');
    process.exit(1);
  });
}
