import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import { Metrics } from './metrics.ts';
import { type RunningService, runService } from './run-service.ts';

@Controller('probe')
class ProbeController {
  @Get()
  answer(): { done: boolean } {
    return { done: true };
  }
}

class ProbeModule {}

describe('a service that is asked to stop', () => {
  let service: RunningService | undefined;
  const logged: string[] = [];
  const logger: Logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
  afterEach(async () => {
    await service?.stop();
    logged.length = 0;
  });

  async function start(
    drainReadinessMs: number,
    onDrainStart: readonly (() => void | Promise<void>)[] = [],
    onDrain: readonly (() => void | Promise<void>)[] = [],
  ): Promise<RunningService> {
    service = await runService({
      name: 'probe',
      module: { module: ProbeModule, controllers: [ProbeController] },
      config: { host: '127.0.0.1', port: 0, drainReadinessMs },
      logger,
      metrics: new Metrics('probe'),
      readiness: [],
      onDrainStart,
      onDrain,
    });
    return service;
  }

  /** One request over a connection that the agent may keep. */
  async function ask(url: string, agent: Agent): Promise<IncomingMessage> {
    const [answer] = (await once(get(url, { agent }), 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer;
  }

  it('is not ready first, and works on until balancers have seen it', async () => {
    const { url, stop } = await start(3_000);
    const stopped = stop();
    const ready = await fetch(`${service?.opsUrl ?? ''}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ checks: [{ name: 'draining' }] });
    expect((await fetch(`${url}/probe`)).status).toBe(200);
    await stopped;
    await expect(fetch(`${url}/probe`)).rejects.toThrow();
  });

  it('still listens while long polls and sockets are ended: their clients may be back at once', async () => {
    const { url, stop } = await start(0, [
      async () => {
        expect((await fetch(`${url}/probe`)).status).toBe(200);
      },
    ]);
    await stop();
    await expect(fetch(`${url}/probe`)).rejects.toThrow();
  });

  it('ends kept connections with the answer to their next request', async () => {
    const { url, stop } = await start(3_000);
    const agent = new Agent({ keepAlive: true });
    expect((await ask(`${url}/probe`, agent)).headers.connection).toBe('keep-alive');
    const stopped = stop();
    const last = await ask(`${url}/probe`, agent);
    expect([last.statusCode, last.headers.connection]).toEqual([200, 'close']);
    await stopped;
    agent.destroy();
  });

  it('does not wait for a connection on which nobody asked anything', async () => {
    const { url, stop } = await start(0);
    const silent = connect(Number(new URL(url).port), '127.0.0.1');
    await once(silent, 'connect');
    await stop();
    expect(logged.join('')).not.toContain('drain_limit');
    expect(silent.destroyed || (await once(silent, 'close'))).toBeTruthy();
  });

  it('is done before it is killed, although none of its twelve parts ends', async () => {
    const { promise: reached, resolve: reach } = Promise.withResolvers<null>();
    const part = (): Promise<void> => {
      reach(null);
      return new Promise(() => undefined);
    };
    const parts = Array.from({ length: 12 }, () => part);
    const { stop } = await start(0, [], parts);
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'setInterval'] });
    try {
      const stopped = stop();
      await reached;
      await jest.advanceTimersByTimeAsync(19_000);
      expect(logged.join('')).toContain('"event":"stopped"');
      await stopped;
    } finally {
      jest.useRealTimers();
    }
  });
});
