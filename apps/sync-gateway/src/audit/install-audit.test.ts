import { expect, it } from '@jest/globals';
import { Controller, Get, Module, Put, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { ADMIN_OPERATIONS, PLATFORM_TENANT } from '@sync/protocol';
import type { FastifyRequest } from 'fastify';
import { silent } from '../push/testing/push-rig.ts';
import { AdminAct } from './admin-act.ts';
import { installAudit } from './install-audit.ts';

const CLAIMS = { tenantId: 't1', userId: 'u1', roles: ['sync-admin'], expiresAtMs: 0 };
const NOTHING_REFUSED = { note: () => Promise.resolve() };

/** As an operation would look whose author has not heard of the audit log. */
@Controller('admin/v1/suggestions')
class ForgetfulController {
  @Get()
  show(@Req() request: FastifyRequest): object {
    return this.act(request, 'get');
  }

  @Put()
  put(@Req() request: FastifyRequest): object {
    return this.act(request, 'put');
  }

  private act(request: FastifyRequest, method: string): object {
    const operation = ADMIN_OPERATIONS.find(
      (one) => one.method === method && one.path === '/admin/v1/suggestions',
    );
    request.act = new AdminAct(request, CLAIMS, operation ?? null, PLATFORM_TENANT);
    return { changed: true };
  }
}

@Module({ controllers: [ForgetfulController] })
class ForgetfulModule {}

it('a change without a line is not answered as done, a read is', async () => {
  const app = await NestFactory.create<NestFastifyApplication>(ForgetfulModule, new FastifyAdapter(), {
    logger: false,
  });
  installAudit(app, NOTHING_REFUSED, silent);
  await app.init();
  const ask = (method: 'GET' | 'PUT') => app.inject({ method, url: '/admin/v1/suggestions' });
  expect((await ask('GET')).json()).toEqual({ changed: true });
  const answer = await ask('PUT');
  expect(answer.statusCode).toBe(500);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.json()).toMatchObject({ code: 'internal' });
  await app.close();
});
