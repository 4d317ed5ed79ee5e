import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it arrived: what left the house. */
export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: {
    readonly model: string;
    readonly messages: readonly { readonly role: string; readonly content: string }[];
    readonly response_format: {
      readonly json_schema: { readonly schema: unknown; readonly strict: boolean };
    };
  } & Readonly<Record<string, unknown>>;
}

export type Behaviour = (response: ServerResponse, request: SeenRequest) => void;

/** The fields of the question, as a model reads them. */
export function materialOf({ body }: SeenRequest): {
  readonly fields: readonly { id: string; name: string; base?: unknown; ours?: unknown; theirs?: unknown }[];
} {
  return JSON.parse(body.messages[1]?.content ?? '{}') as ReturnType<typeof materialOf>;
}

/** A chat completion with this text, as the API answers it. */
export function completion(content: string | null, changes: object = {}): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'test-model-2026-01',
    system_fingerprint: 'fp_test',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
    usage: { prompt_tokens: 300, completion_tokens: 50, total_tokens: 350 },
    ...changes,
  };
}

export function answerJson(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** Answers every question by taking the device's side, in the format asked for. */
export const takeTheirs: Behaviour = (response, request) => {
  const fields = materialOf(request).fields.map(({ id, theirs }) => [id, theirs] as const);
  answerJson(
    response,
    completion(
      JSON.stringify({
        fields: Object.fromEntries(fields),
        confidence: 0.8,
        rationale: 'The device is newer.',
      }),
    ),
  );
};

/** A server that speaks the chat-completions API as far as our adapter uses it, faults included. */
export class AIServer {
  readonly seen: SeenRequest[] = [];
  behave: Behaviour = takeTheirs;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<AIServer> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const seen = {
          path: request.url ?? '',
          headers: request.headers,
          text,
          body: JSON.parse(text) as never,
        };
        started.seen.push(seen);
        started.behave(response, seen);
      });
    });
    const started = new AIServer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return started;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
