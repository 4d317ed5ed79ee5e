import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Module, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import type { Batch, Pruned } from '../consumer-context.ts';
import { NoRespondersError, RemoteError, request } from '../request-reply.ts';
import { HopRig } from '../testing/hop-rig.ts';
import { recordEffects } from '../testing/record-effects.ts';
import { BatchContext, JetStreamStrategy, RemoteErrorFilter, RequestReplyContext } from './index.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open();
});
afterEach(() => rig.close());

async function startApp(controller: Type): Promise<INestMicroservice> {
  class TestModule {}
  Module({ controllers: [controller] })(TestModule);
  const app = await NestFactory.createMicroservice(TestModule, {
    logger: false,
    strategy: new JetStreamStrategy({
      nats: await rig.connect(),
      database: rig.consumerDb.database,
      consumer: 'app',
      streams: [rig.stream],
      logger: rig.logger,
      metrics: rig.metrics,
    }),
  });
  app.useGlobalFilters(new RemoteErrorFilter());
  rig.onClose(() => app.close());
  await app.listen();
  return app;
}

/** Patterns are only known when the rig has chosen its stream, so the decorated class is made per test. */
function consumerClass(fail: () => boolean): Type {
  @Controller()
  class Consumer {
    @EventPattern<Record<string, readonly Batch[]>>(rig.stream.name, { plain: true })
    async handle(@Payload() batches: readonly Batch[], @Ctx() context: unknown): Promise<void> {
      if (!(context instanceof BatchContext)) throw new TypeError('Not under the JetStreamStrategy');
      await recordEffects('app')(context.tx, batches);
      if (fail()) throw new Error('not yet');
    }

    @EventPattern<Record<string, Pruned>>(`${rig.stream.name}.pruned`)
    rebuild(@Payload() _pruned: Pruned): void {
      throw new Error('nothing is pruned in this test');
    }
  }
  return Consumer;
}

function responderClass(): Type {
  @Controller()
  class Responding {
    @MessagePattern(`push.${rig.stream.name}.*`)
    push(@Payload() body: unknown, @Ctx() context: RequestReplyContext): unknown {
      if (body === 'remote') throw new RemoteError('forbidden', 'Not yours');
      if (body === 'rpc') throw new RpcException({ code: 'gone', message: 'No longer here' });
      if (body === 'bug') throw new Error('password of the database');
      return { body, subject: context.subject, trace: context.header('trace') };
    }
  }
  return Responding;
}

describe('@EventPattern', () => {
  it('hands batches over in a transaction that commits with the watermark, and repeats them when it fails', async () => {
    let failures = 2;
    await startApp(consumerClass(() => (failures -= 1) >= 0));
    await rig.startRelay();
    await rig.write(40);
    await rig.untilEffects(40);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
    expect(rig.counts.retried).toBe(2);
  });

  it('finishes its batches when the app closes, and goes on after the next start', async () => {
    const app = await startApp(consumerClass(() => false));
    await rig.startRelay();
    await rig.write(100, 10);
    await rig.until('it works', async () => (await rig.effects()).length > 0);
    await app.close();
    await rig.write(20);
    await startApp(consumerClass(() => false));
    await rig.untilEffects(120);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('without a handler for what is pruned does not start', async () => {
    @Controller()
    class Incomplete {
      @EventPattern(rig.stream.name)
      handle(_batch: unknown): void {
        throw new Error('never called');
      }
    }
    await expect(startApp(Incomplete)).rejects.toThrow(/\.pruned'\) beside it/);
  });

  it('naming no stream does not start', async () => {
    @Controller()
    class Mistaken {
      @EventPattern('NO_SUCH_STREAM')
      handle(_batch: unknown): void {
        throw new Error('never called');
      }
    }
    await expect(startApp(Mistaken)).rejects.toThrow(/NO_SUCH_STREAM/);
  });
});

describe('@MessagePattern', () => {
  function ask(body: unknown): Promise<unknown> {
    return rig.connect().then((nats) => {
      const options = { timeoutMs: 5_000, headers: { trace: 't1' } };
      return request(nats, `push.${rig.stream.name}.note`, body, options);
    });
  }

  it('answers requests, with subject and headers at hand', async () => {
    await startApp(responderClass());
    const subject = `push.${rig.stream.name}.note`;
    expect(await ask({ a: 1 })).toEqual({ body: { a: 1 }, subject, trace: 't1' });
  });

  it('answers with the codes of known errors and hides all others', async () => {
    await startApp(responderClass());
    await expect(ask('remote')).rejects.toMatchObject({ code: 'forbidden', message: 'Not yours' });
    await expect(ask('rpc')).rejects.toMatchObject({ code: 'gone', message: 'No longer here' });
    await expect(ask('bug')).rejects.toMatchObject({ code: 'internal', message: 'The request failed' });
  });

  it('answers nobody any more after the app closed', async () => {
    const app = await startApp(responderClass());
    await app.close();
    await expect(ask({})).rejects.toThrow(NoRespondersError);
  });
});
