import type { AIQuestion } from './ai-client.ts';
import { OpenAIClient, type OpenAIOptions } from './openai-client.ts';
import { AIServer, type Behaviour, answerJson, completion } from './testing/ai-server.ts';

const KEY = 'sk-very-secret-key';
const QUESTION: AIQuestion = {
  instructions: 'Merge.',
  material: '{"fields":[]}',
  answerSchema: { type: 'object' },
  parameters: { temperature: 0, max_tokens: 64 },
};
const NOTHING_BILLED = { promptTokens: 0, outputTokens: 0 };

describe('OpenAIClient', () => {
  let server: AIServer;
  const clientOf = (changes: Partial<OpenAIOptions> = {}): OpenAIClient =>
    new OpenAIClient({
      baseUrl: server.baseUrl,
      apiKey: KEY,
      model: 'asked-model',
      timeoutMs: 5_000,
      attempts: 2,
      maxPauseMs: 1_000,
      maxAnswerBytes: 100_000,
      ...changes,
    });
  const ask = (behave: Behaviour, changes: Partial<OpenAIOptions> = {}) => {
    server.seen.length = 0;
    server.behave = behave;
    return clientOf(changes).complete(QUESTION, new AbortController().signal);
  };

  beforeAll(async () => {
    server = await AIServer.start();
  });
  afterAll(() => server.stop());

  it('asks for an answer of the schema and offers no tools', async () => {
    await ask((response) => answerJson(response, completion('{"a":1}')));
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]).toMatchObject({ path: '/v1/chat/completions' });
    expect(server.seen[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(server.seen[0]?.body).toEqual({
      temperature: 0,
      max_tokens: 64,
      model: 'asked-model',
      messages: [
        { role: 'system', content: 'Merge.' },
        { role: 'user', content: '{"fields":[]}' },
      ],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'merge_suggestion', strict: true, schema: { type: 'object' } },
      },
    });
  });

  it('answers the text, the model that gave it and what it cost', async () => {
    await expect(ask((response) => answerJson(response, completion('{"a":1}')))).resolves.toEqual({
      text: '{"a":1}',
      model: 'test-model-2026-01',
      version: 'fp_test',
      usage: { promptTokens: 300, outputTokens: 50 },
    });
  });

  it('works without a key, and without usage or fingerprint in the answer', async () => {
    const bare = completion('x', { usage: undefined, system_fingerprint: undefined });
    await expect(ask((response) => answerJson(response, bare), { apiKey: '' })).resolves.toMatchObject({
      version: null,
      usage: null,
    });
    expect(server.seen[0]?.headers.authorization).toBeUndefined();
  });

  it.each([429, 503])('repeats after %d, as long as Retry-After asks, and then answers', async (status) => {
    let calls = 0;
    const answer = await ask((response) => {
      calls += 1;
      if (calls > 1) {
        answerJson(response, completion('later'));
        return;
      }
      response.writeHead(status, { 'retry-after': '1' }).end('{}');
    });
    expect(answer.text).toBe('later');
    expect(calls).toBe(2);
  });

  it('gives up after its attempts, and at once when the pause is too long', async () => {
    await expect(ask((response) => answerJson(response, {}, 503))).rejects.toMatchObject({
      code: 'unavailable',
      usage: NOTHING_BILLED,
    });
    expect(server.seen).toHaveLength(2);
    await expect(
      ask((response) => response.writeHead(429, { 'retry-after': '3600' }).end()),
    ).rejects.toMatchObject({ code: 'overloaded' });
    expect(server.seen).toHaveLength(1);
  });

  it.each([500, 502, 504])('does not repeat %d, which may have been billed', async (status) => {
    await expect(ask((response) => answerJson(response, {}, status))).rejects.toMatchObject({
      code: 'unavailable',
      usage: null,
    });
    expect(server.seen).toHaveLength(1);
  });

  it.each([400, 401, 404, 302, 307])('does not repeat or follow %d', async (status) => {
    const failed = ask((response) =>
      response.writeHead(status, { location: `${server.baseUrl}/elsewhere` }).end('no'),
    );
    await expect(failed).rejects.toMatchObject({ code: 'refused' });
    expect(server.seen.map(({ path }) => path)).toEqual(['/v1/chat/completions']);
  });

  it.each<[string, Behaviour]>([
    ['never answers', () => undefined],
    ['never finishes its headers', (response) => response.socket?.write('HTTP/1.1 200 OK\r\n')],
    [
      'sends its body a byte at a time',
      (response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ])('ends a call whose server %s', async (_what, behave) => {
    await expect(ask(behave, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'timeout', usage: null });
    expect(server.seen).toHaveLength(1);
  });

  it('reads no more of a giant body than the cap', async () => {
    let written = 0;
    const failed = ask(
      (response) => {
        response.writeHead(200);
        const pour = (): void => {
          while (!response.destroyed && written < 1e9 && response.write('x'.repeat(65_536)))
            written += 65_536;
        };
        response.on('drain', pour);
        pour();
      },
      { maxAnswerBytes: 10_000 },
    );
    await expect(failed).rejects.toMatchObject({ code: 'answer_too_large' });
    expect(written).toBeLessThan(100_000_000);
  });

  it.each<[string, string, Behaviour]>([
    ['answer_malformed', 'no JSON', (response) => response.writeHead(200).end('<html>')],
    ['answer_malformed', 'other JSON', (response) => answerJson(response, { hello: 'world' })],
    ['answer_malformed', 'no choice', (response) => answerJson(response, completion('', { choices: [] }))],
    ['answer_malformed', 'no text but a tool call', (response) => answerJson(response, completion(null))],
    [
      'answer_malformed',
      'bytes that are no UTF-8',
      (response) => response.end(Buffer.from([0x22, 0xff, 0x22])),
    ],
    [
      'answer_truncated',
      'a text cut off by the limit of tokens',
      (response) => answerJson(response, completion('{"a', { choices: [choice('length', '{"a')] })),
    ],
    [
      'refused',
      'a refusal',
      (response) => answerJson(response, completion(null, { choices: [choice('stop', null, 'I cannot.')] })),
    ],
    [
      'refused',
      'a filtered answer',
      (response) => answerJson(response, completion('', { choices: [choice('content_filter', '')] })),
    ],
    [
      'unavailable',
      'a body cut off',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"model":');
        setImmediate(() => response.destroy());
      },
    ],
  ])('answers %s to %s', async (code, _what, behave) => {
    await expect(ask(behave)).rejects.toMatchObject({ code });
  });

  it('names neither key nor texts nor address in what may be logged', async () => {
    const gone = await AIServer.start();
    const away = clientOf({ baseUrl: `${gone.baseUrl}/secret-path` });
    await gone.stop();
    const failures = await Promise.allSettled([
      away.complete(QUESTION, new AbortController().signal),
      ask((response) => response.writeHead(401).end(`bad key ${KEY}`)),
    ]);
    const texts = failures.map((failure) => String((failure as PromiseRejectedResult).reason));
    expect(texts).toEqual([
      expect.stringContaining('ECONNREFUSED'),
      expect.stringContaining('the endpoint answered 401'),
    ]);
    expect(texts.join()).not.toMatch(/secret|Merge/);
  });

  it('takes no base URL that is not http(s) or holds credentials', () => {
    expect(() => clientOf({ baseUrl: 'file:///etc' })).toThrow(TypeError);
    expect(() => clientOf({ baseUrl: 'http://user:pass@host/v1' })).toThrow(TypeError);
    expect(() => clientOf({ baseUrl: 'nonsense' })).toThrow('Invalid URL');
  });
});

function choice(finishReason: string, content: string | null, refused: string | null = null): object {
  return { index: 0, finish_reason: finishReason, message: { role: 'assistant', content, refusal: refused } };
}
