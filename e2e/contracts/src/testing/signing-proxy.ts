import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DeviceCredentials, signRequest, tagMutation } from '@sync/e2e-device';
import type { PushRequest } from '@sync/protocol';

/**
 * Stands between Pact's verifier and the gateway, and signs each request and tags each mutation as a device
 * does: a contract cannot hold a signature, because it covers the time and a token that lives an hour, nor
 * the tags of a device that is bound only now. Everything else passes through as it is.
 */
export class SigningProxy {
  /** Who signs; a state handler says it. */
  device: DeviceCredentials | undefined;
  /** Of the signing device; 0 is right. */
  clockOffsetMs = 0;
  readonly #server: Server;
  readonly #gatewayUrl: string;

  private constructor(gatewayUrl: string, server: Server) {
    this.#gatewayUrl = gatewayUrl;
    this.#server = server;
  }

  static async start(gatewayUrl: string): Promise<SigningProxy> {
    const server = createServer((request, response) => {
      proxy.#forward(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)));
    });
    const proxy = new SigningProxy(gatewayUrl, server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', this.#gatewayUrl);
    const method = request.method ?? 'POST';
    if (!this.device) throw new Error('no state named a device');
    const bytes = body.length === 0 ? null : new Uint8Array(tagged(url.pathname, body, this.device));
    const createdSeconds = Math.floor((Date.now() + this.clockOffsetMs) / 1_000);
    const { headers } = signRequest(this.device, method, url, bytes, createdSeconds);
    const answer = await fetch(url, { method, headers, ...(bytes ? { body: bytes } : {}) });
    const passed = ['content-type', 'date', 'retry-after'].flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(answer.status, Object.fromEntries(passed)).end(await answer.text());
  }
}

function tagged(path: string, body: Buffer, device: DeviceCredentials): Buffer {
  if (path !== '/sync/v1/push') return body;
  const push = JSON.parse(body.toString()) as PushRequest;
  const mutations = push.mutations.map((mutation) => tagMutation(device, mutation));
  return Buffer.from(JSON.stringify({ ...push, mutations }));
}
