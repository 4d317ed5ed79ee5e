import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import type { Logger } from './logger.ts';
import { nestLogger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { type ReadinessCheck, registerOperations } from './operations.ts';
import { ProblemError } from './problem-error.ts';
import { ProblemFilter, sendProblem } from './problem-filter.ts';

export interface ServiceOptions {
  readonly name: string;
  readonly module: DynamicModule | Type;
  readonly config: { readonly host: string; readonly port: number };
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: readonly ReadinessCheck[];
  /** Bytes of a request body that Fastify itself accepts. */
  readonly bodyLimitBytes?: number;
  /** Before listening: content-type parsers, hooks, sockets. */
  readonly prepare?: (app: NestFastifyApplication) => void | Promise<void>;
  /** First thing at shutdown, while requests are still open: end long polls and sockets. */
  readonly onDrainStart?: readonly (() => void | Promise<void>)[];
  /** After the last request: consumers, relays, connections; in order. */
  readonly onDrain?: readonly (() => void | Promise<void>)[];
}

export interface RunningService {
  readonly url: string;
  readonly app: NestFastifyApplication;
  /** Drains as SIGTERM does, without ending the process. */
  stop(): Promise<void>;
}

const DRAIN_LIMIT_MS = 10_000;
const DRAIN_SWEEP_MS = 50;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Runs one Nest service on Fastify until SIGTERM or SIGINT: health, readiness, metrics, problem+json, request ids, graceful drain.
 * When it accepts requests it logs one line with `event: "ready"` and its `url`.
 * @throws when the port is taken or a module cannot be built
 */
export async function runService(options: ServiceOptions): Promise<RunningService> {
  const { logger } = options;
  const adapter = new FastifyAdapter({
    bodyLimit: options.bodyLimitBytes ?? 1_048_576,
    forceCloseConnections: 'idle',
    // A path that the router cannot read (bad escapes, a parameter of thousands of characters) is one that does not exist; its own answer is no problem
    // document and repeats the path.
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
  const state = { draining: false };
  registerOperations(app, { ...options, isDraining: () => state.draining });
  await options.prepare?.(app);
  await app.listen(options.config.port, options.config.host);
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');

  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    state.draining = true;
    stopping ??= drain(app, options);
    return stopping;
  };
  exitOnSignals(logger, stop);
  // Whoever started the process waits for this line, whatever level it asked for.
  logger
    .child({}, { level: 'info' })
    .info({ event: 'ready', url, pid: process.pid }, `${options.name} is ready`);
  return { url, app, stop };
}

async function drain(app: NestFastifyApplication, options: ServiceOptions): Promise<void> {
  options.logger.info({ event: 'draining' }, 'no new work is taken');
  for (const step of options.onDrainStart ?? []) await step();
  await closeWithinLimit(app, options.logger);
  for (const step of options.onDrain ?? []) await step();
  options.logger.info({ event: 'stopped' }, 'drained');
}

/**
 * Stops listening and waits for open requests. A kept-alive connection whose last request ends while the server is closing is not closed by
 * anyone (Fastify closes only those idle at the start), hence the sweep; a client that never finishes must not keep the process alive, hence the limit.
 */
async function closeWithinLimit(app: NestFastifyApplication, logger: Logger): Promise<void> {
  const server = app.getHttpServer();
  const sweep = setInterval(() => server.closeIdleConnections(), DRAIN_SWEEP_MS);
  const limit = setTimeout(() => {
    logger.warn({ event: 'drain_limit' }, `requests were still open after ${DRAIN_LIMIT_MS} ms`);
    server.closeAllConnections();
  }, DRAIN_LIMIT_MS);
  try {
    await app.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(limit);
  }
}

function exitOnSignals(logger: Logger, stop: () => Promise<void>): void {
  const leave = (signal: string): void => {
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ err: error, signal }, 'the drain failed');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', () => leave('SIGTERM'));
  process.once('SIGINT', () => leave('SIGINT'));
  process.once('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'an uncaught exception ends the process');
    process.exit(1);
  });
  process.once('unhandledRejection', (error) => {
    logger.fatal({ err: error }, 'an unhandled rejection ends the process');
    process.exit(1);
  });
}
