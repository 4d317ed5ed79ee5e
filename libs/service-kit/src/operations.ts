import { createServer, type Server, type ServerResponse } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { ProblemError } from './problem-error.ts';

/** Throws, or rejects, with the reason while the service must not get traffic. */
export interface ReadinessCheck {
  readonly name: string;
  check(): Promise<void>;
}

export interface OperationsOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: readonly ReadinessCheck[];
  isDraining(): boolean;
}

const CHECK_LIMIT_MS = 2_000;
const JSON_TYPE = 'application/json; charset=utf-8';

/** Gives every answer its request id, and measures every request under OpenTelemetry's name for it. */
export function observeRequests(app: NestFastifyApplication, metrics: Metrics): void {
  const fastify = app.getHttpAdapter().getInstance();
  const duration = metrics.histogram(
    'http_server_request_duration_seconds',
    'Duration of HTTP requests, by route and status.',
    ['method', 'route', 'status'],
  );

  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    duration.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
    done();
  });
}

/**
 * The operator's side of every service, on a port of its own that no device reaches: `/health/live` (the
 * process answers), `/health/ready` (it can do its work) and `/metrics` (Prometheus).
 */
export function operationsServer(options: OperationsOptions): Server {
  return createServer((request, response) => {
    answer(request.url?.split('?', 1)[0] ?? '', response, options).catch((error: unknown) => {
      options.logger.error({ err: error }, 'an operator could not be answered');
      response.destroy();
    });
  });
}

async function answer(path: string, response: ServerResponse, options: OperationsOptions): Promise<void> {
  if (path === '/health/live') {
    send(response, 200, JSON_TYPE, JSON.stringify({ status: 'ok' }));
  } else if (path === '/health/ready') {
    const checks = await runChecks(options);
    const ready = checks.every((check) => check.status === 'ok');
    const body = JSON.stringify({ status: ready ? 'ok' : 'not_ready', checks });
    send(response, ready ? 200 : 503, JSON_TYPE, body);
  } else if (path === '/metrics') {
    const { registry } = options.metrics;
    send(response, 200, registry.contentType, await registry.metrics());
  } else {
    const problem = new ProblemError('not_found', 'This port has /health/live, /health/ready and /metrics');
    send(response, 404, 'application/problem+json', JSON.stringify(problem.toBody(Date.now())));
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

async function runChecks(
  options: OperationsOptions,
): Promise<{ name: string; status: 'ok' | 'failed'; reason?: string }[]> {
  if (options.isDraining())
    return [{ name: 'draining', status: 'failed', reason: 'the service is stopping' }];
  return Promise.all(
    options.readiness.map(async (one) => {
      const { name } = one;
      try {
        await Promise.race([one.check(), timeout()]);
        return { name, status: 'ok' as const };
      } catch (error) {
        return {
          name,
          status: 'failed' as const,
          reason: error instanceof Error ? error.message : String(error),
        };
      }
    }),
  );
}

function timeout(): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${CHECK_LIMIT_MS} ms`)), CHECK_LIMIT_MS).unref();
  });
}
