import { type Server, createServer } from 'node:http';

interface Field {
  readonly id: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/**
 * A model that joins both texts of every field, behind the API that the platform is configured for
 * (`AI_BASE_URL`).
 */
export class AIEndpoint {
  /** Bodies of all requests: what left the platform. */
  readonly seen: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(baseUrl: string): Promise<AIEndpoint> {
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        endpoint.seen.push(text);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answerTo(text)));
      });
    });
    const endpoint = new AIEndpoint(server);
    await new Promise<void>((resolve) => server.listen(Number(new URL(baseUrl).port), '127.0.0.1', resolve));
    return endpoint;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function answerTo(text: string): object {
  const { messages } = JSON.parse(text) as { messages: readonly { content: string }[] };
  const { fields } = JSON.parse(messages[1]?.content ?? '{}') as { fields: readonly Field[] };
  const merged = fields.map(({ id, ours, theirs }) => [id, `${String(ours)} / ${String(theirs)}`] as const);
  const content = JSON.stringify({
    fields: Object.fromEntries(merged),
    confidence: 0.9,
    rationale: 'Both texts were kept.',
  });
  return {
    model: 'test-model-1',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
    usage: { prompt_tokens: 200, completion_tokens: 40 },
  };
}
