import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from './connect-nats.ts';
import type { MessagingLogger } from './ports.ts';
import {
  MalformedReplyError,
  MessageTooLargeError,
  NoRespondersError,
  RemoteError,
  request,
  RequestTimeoutError,
  Responder,
  type ResponderOptions,
} from './request-reply.ts';
import { startNats, type RunningNats } from './testing/nats-server.ts';

let server: RunningNats;
let caller: NatsConnection;
let nats: NatsConnection;
let subject: string;
let logged: string[];
const responders: Responder[] = [];
beforeAll(async () => {
  server = await startNats();
  caller = await connectNats({ url: server.url, name: 'caller' });
  nats = await connectNats({ url: server.url, name: 'responder' });
});
afterAll(async () => {
  await caller.close();
  await nats.close();
  await server.stop();
});
let files = 0;
beforeEach(() => {
  logged = [];
  files += 1;
  subject = `rr.${process.pid}.${files}`;
});
afterEach(async () => {
  for (const responder of responders.splice(0)) await responder.stop();
});

async function respond(
  handle: ResponderOptions['handle'],
  options: Partial<ResponderOptions> = {},
): Promise<Responder> {
  const log = (_fields: object, message: string): void => void logged.push(message);
  const logger: MessagingLogger = { debug: log, info: log, warn: log, error: log };
  const responder = new Responder({ nats, subject, queue: 'q', handle, logger, ...options });
  responders.push(responder);
  await nats.flush();
  return responder;
}

function ask(body: unknown = {}, timeoutMs = 5_000): Promise<unknown> {
  return request(caller, subject, body, { timeoutMs });
}

describe('request', () => {
  it('brings JSON there and back, with subject and headers', async () => {
    await respond(
      async (body, context) => ({ body, subject: context.subject, trace: context.headers?.get('trace') }),
      {
        subject: `${subject}.*`,
      },
    );
    const options = { timeoutMs: 5_000, headers: { trace: 't1' } };
    expect(await request(caller, `${subject}.x`, { a: [1, 'ü'] }, options)).toEqual({
      body: { a: [1, 'ü'] },
      subject: `${subject}.x`,
      trace: 't1',
    });
  });

  it('knows that nobody answers', async () => {
    await expect(ask()).rejects.toThrow(NoRespondersError);
  });

  it('knows that the answer is late', async () => {
    await respond(() => sleep(500));
    await expect(ask({}, 50)).rejects.toThrow(RequestTimeoutError);
  });

  it('sends nothing over its bound', async () => {
    await expect(ask('x'.repeat(1_000_001))).rejects.toThrow(MessageTooLargeError);
  });

  it.each(['not json', '{"n":"text"}'])('refuses the reply %j', async (reply) => {
    nats.subscribe(subject, { max: 1, callback: (_error, message) => void message.respond(reply) });
    await nats.flush();
    const decode = (value: unknown): number => {
      if (typeof (value as { n?: unknown }).n !== 'number') throw new Error('n is no number');
      return 1;
    };
    await expect(request(caller, subject, {}, { timeoutMs: 5_000, decode })).rejects.toThrow(
      MalformedReplyError,
    );
  });
});

describe('Responder', () => {
  it('answers with the code of a RemoteError, and hides every other error', async () => {
    await respond(async (body) => {
      throw body === 'known'
        ? new RemoteError('forbidden', 'Not yours')
        : new Error('password of the database');
    });
    await expect(ask('known')).rejects.toMatchObject({ code: 'forbidden', message: 'Not yours' });
    await expect(ask('other')).rejects.toMatchObject({ code: 'internal', message: 'The request failed' });
    expect(logged).toEqual(['request failed']);
  });

  it('refuses a request that is no JSON and a reply over its bound', async () => {
    await respond(async () => 'x'.repeat(200), { maxBytes: 100 });
    const raw = await caller.request(subject, '{', { timeout: 5_000 });
    expect(raw.json()).toMatchObject({ error: { code: 'malformed' } });
    await expect(ask()).rejects.toMatchObject({ code: 'reply_too_large' });
  });

  it('knows what its server takes, where that is less than the bound', async () => {
    const small = await startNats({ own: true, configuration: ['max_payload: 65536'] });
    const [asking, answering] = await Promise.all(
      ['asking', 'answering'].map((name) => connectNats({ url: small.url, name })),
    );
    if (!asking || !answering) throw new Error('not connected');
    await respond(async (text) => String(text).repeat(2), { nats: answering });
    await answering.flush();
    const options = { timeoutMs: 5_000 };
    expect(await request(asking, subject, 'x', options)).toBe('xx');
    await expect(request(asking, subject, 'x'.repeat(40_000), options)).rejects.toMatchObject({
      code: 'reply_too_large',
    });
    await expect(request(asking, subject, 'x'.repeat(70_000), options)).rejects.toThrow(MessageTooLargeError);
    await Promise.all([asking.close(), ...responders.splice(0).map((responder) => responder.stop())]);
    await answering.close();
    await small.stop();
  });

  it('bounds what runs and what waits, and refuses the rest', async () => {
    let running = 0;
    let most = 0;
    let finish = (): void => undefined;
    const gate = new Promise<void>((resolve) => (finish = resolve));
    await respond(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await gate;
        running -= 1;
        return 'done';
      },
      { concurrency: 2, maxWaiting: 3 },
    );
    const answers = Array.from({ length: 8 }, () =>
      ask().catch((error: unknown) => (error instanceof RemoteError ? error.code : error)),
    );
    // The refusals are answered first; only then may the others go on.
    await Promise.all([Promise.race(answers), caller.flush()]);
    finish();
    const settled = await Promise.all(answers);
    expect(settled.filter((answer) => answer === 'done')).toHaveLength(5);
    expect(settled.filter((answer) => answer === 'overloaded')).toHaveLength(3);
    expect(most).toBe(2);
  });

  it('answers what it has when it stops', async () => {
    const responder = await respond(
      async (body) => {
        await sleep(50);
        return body;
      },
      { concurrency: 1 },
    );
    const answers = [ask(1), ask(2), ask(3)];
    await caller.flush();
    await responder.stop();
    expect(await Promise.all(answers)).toEqual([1, 2, 3]);
    await expect(ask(4)).rejects.toThrow(NoRespondersError);
  });

  it('shares requests with its replicas', async () => {
    const seen = [0, 0];
    for (const index of [0, 1]) {
      await respond(async () => {
        seen[index] = (seen[index] ?? 0) + 1;
      });
    }
    await Promise.all(Array.from({ length: 60 }, () => ask()));
    expect((seen[0] ?? 0) + (seen[1] ?? 0)).toBe(60);
    expect(Math.min(...seen)).toBeGreaterThan(0);
  });
});
