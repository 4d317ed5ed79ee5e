import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

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

/**
 * The operator's side of every service: `/health/live` (the process answers), `/health/ready` (it can do its
 * work), `/metrics` (Prometheus), and the duration of every request under OpenTelemetry's name for it.
 */
export function registerOperations(app: NestFastifyApplication, options: OperationsOptions): void {
  const fastify = app.getHttpAdapter().getInstance();
  const duration = options.metrics.histogram(
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

  fastify.get('/health/live', () => ({ status: 'ok' }));
  fastify.get('/health/ready', async (_request, reply) => {
    const checks = await runChecks(options);
    const ready = checks.every((check) => check.status === 'ok');
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not_ready', checks });
  });
  fastify.get('/metrics', async (_request, reply) => {
    return reply
      .header('content-type', options.metrics.registry.contentType)
      .send(await options.metrics.registry.metrics());
  });
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
