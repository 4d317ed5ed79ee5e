import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PROBLEM_CODES, type ProblemCode } from '@sync/protocol/device';

/** A request as it came. */
export interface Came {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Behave = (came: Came, response: ServerResponse) => void;

/** A real HTTP server that behaves as a test wants it to. */
export class RudeServer {
  readonly server: Server;
  readonly came: Came[] = [];
  behave: Behave = (_came, response) => answer(response, 200, good());

  private constructor() {
    this.server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part)).on('error', () => undefined);
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const came = { method, path: url, headers, body: Buffer.concat(parts) };
        this.came.push(came);
        this.behave(came, response);
      });
    });
  }

  static async start(): Promise<RudeServer> {
    const rude = new RudeServer();
    await new Promise<void>((done) => rude.server.listen(0, '127.0.0.1', done));
    return rude;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

export function good(): Record<string, unknown> {
  return { serverTime: new Date().toISOString() };
}

export function answer(
  response: ServerResponse,
  status: number,
  body: object | string | Buffer | null,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
  response.writeHead(status, { 'content-type': type, ...headers });
  response.end(isRaw ? body : body && JSON.stringify(body));
}

/** A problem as the gateway answers it. */
export function problemBody(code: string, status?: number, retryable?: boolean): Record<string, unknown> {
  const known = PROBLEM_CODES[code as ProblemCode] as (typeof PROBLEM_CODES)[ProblemCode] | undefined;
  return {
    ...good(),
    ...{ type: `urn:sync-service:problem:${code}`, title: 'A problem', detail: 'of this time', code },
    status: status ?? known?.status,
    retryable: retryable ?? known?.retryable,
  };
}

export function refuse(response: ServerResponse, code: ProblemCode, headers?: Record<string, string>): void {
  answer(response, PROBLEM_CODES[code].status, problemBody(code), headers);
}
