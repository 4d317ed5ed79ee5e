import { Controller, Get, Post, Body } from '@nestjs/common';
import { ClosedConnectionError, NoRespondersError, TimeoutError } from '@nats-io/transport-node';
import { createLogger } from './logger.ts';
import { Metrics } from './metrics.ts';
import { ProblemError } from './problem-error.ts';
import { type RunningService, runService } from './run-service.ts';

let down = new Error('nothing');

@Controller('probe')
class ProbeController {
  @Get('problem')
  problem(): never {
    throw new ProblemError('cursor_invalid', 'The cursor is forged', {
      errors: [{ path: '/scopes/0/cursor', message: 'forged' }],
    });
  }

  @Get('bug')
  bug(): never {
    throw new Error('a secret detail');
  }

  @Get('down')
  down(): never {
    throw down;
  }

  @Get('slow')
  async slow(): Promise<{ done: boolean }> {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { done: true };
  }

  @Post('echo')
  echo(@Body() body: unknown): unknown {
    return body;
  }
}

class ProbeModule {}

describe('runService', () => {
  let service: RunningService;
  let broken: string | null = null;
  const drained: string[] = [];

  beforeAll(async () => {
    service = await runService({
      name: 'probe',
      module: { module: ProbeModule, controllers: [ProbeController] },
      config: { host: '127.0.0.1', port: 0, drainReadinessMs: 0 },
      logger: createLogger({ service: 'probe', level: 'silent' }),
      metrics: new Metrics('probe'),
      readiness: [
        {
          name: 'store',
          check: () => (broken ? Promise.reject(new Error(broken)) : Promise.resolve()),
        },
      ],
      onDrain: [() => void drained.push('consumer'), () => void drained.push('store')],
    });
  });
  afterAll(() => service.stop());

  const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${service.url}${path}`, init);

  const ops = (path: string): Promise<Response> => fetch(`${service.opsUrl}${path}`);

  it('answers a ProblemError as problem+json with the offending path', async () => {
    const answer = await get('/probe/problem');
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(await answer.json()).toMatchObject({
      code: 'cursor_invalid',
      status: 400,
      retryable: false,
      errors: [{ path: '/scopes/0/cursor', message: 'forged' }],
      serverTime: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
  });

  it('hides what was not expected and never its code', async () => {
    const answer = await get('/probe/bug');
    const body = await answer.text();
    expect(answer.status).toBe(500);
    expect(body).toContain('"code":"internal"');
    expect(body).not.toContain('secret');
  });

  it.each([
    ['unreachable', 'ECONNREFUSED', ''],
    ['stopping', '57P01', ''],
    ['silent', '', 'Query read timeout'],
    ['gone in the middle', '', 'Connection terminated unexpectedly'],
    ['busy', '', 'timeout exceeded when trying to connect'],
    ['too slow', '57014', 'canceling statement due to statement timeout'],
    ['locked', '55P03', 'canceling statement due to lock timeout'],
    ['out of reach for want of descriptors', 'EMFILE', 'too many open files'],
  ])('answers 503 with Retry-After when a store is %s', async (_what, code, message) => {
    down = Object.assign(new Error(message), code === '' ? {} : { code });
    const answer = await get('/probe/down');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  });

  it.each([
    ['does not answer', new TimeoutError()],
    ['has nobody who answers', new NoRespondersError('sync.conflicts.v1')],
    ['was lost', new ClosedConnectionError()],
  ])('answers 503 with Retry-After when NATS %s', async (_what, error) => {
    down = error;
    const answer = await get('/probe/down');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  });

  it.each([
    ['an unknown path', '/nowhere', {}, 404, 'not_found'],
    ['metrics on the port of devices', '/metrics', {}, 404, 'not_found'],
    ['metrics on the port of devices, escaped', '/%6detrics', {}, 404, 'not_found'],
    ['readiness on the port of devices', '/health/ready', {}, 404, 'not_found'],
    ['liveness on the port of devices', '/health/live', {}, 404, 'not_found'],
    ['a path with a bad escape', '/%E0%A4%A', {}, 404, 'not_found'],
    [
      'broken JSON',
      '/probe/echo',
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' },
      400,
      'malformed_json',
    ],
    [
      'another media type',
      '/probe/echo',
      { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'a' },
      415,
      'unsupported_media_type',
    ],
    [
      'too many bytes',
      '/probe/echo',
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: `"${'x'.repeat(1_048_577)}"` },
      413,
      'payload_too_large',
    ],
  ])('answers %s with its documented code', async (_name, path, init, status, code) => {
    const answer = await get(path, init);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code, status });
  });

  it('takes over a sane request id and replaces any other', async () => {
    const sane = await get('/probe/slow', { headers: { 'x-request-id': 'abc-1' } });
    const odd = await get('/probe/slow', { headers: { 'x-request-id': 'a b' } });
    expect(sane.headers.get('x-request-id')).toBe('abc-1');
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is not ready while a check fails and says which', async () => {
    broken = 'no connection';
    const answer = await ops('/health/ready');
    broken = null;
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      checks: [{ name: 'store', status: 'failed', reason: 'no connection' }],
    });
    expect((await ops('/health/ready')).status).toBe(200);
  });

  it('measures every request by route and status', async () => {
    await get('/probe/problem');
    const text = await (await ops('/metrics')).text();
    expect(text).toMatch(
      /http_server_request_duration_seconds_count\{[^}]*route="\/probe\/problem"[^}]*status="400"[^}]*\} [1-9]/,
    );
  });

  it('finishes open requests before it drains its parts in order', async () => {
    const open = get('/probe/slow');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await service.stop();
    expect(await (await open).json()).toEqual({ done: true });
    expect(drained).toEqual(['consumer', 'store']);
    await expect(ops('/health/live')).rejects.toThrow();
  });
});
