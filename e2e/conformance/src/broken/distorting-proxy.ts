import { once } from 'node:events';
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from 'node:http';
import { request as requestByTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { type LiveDistortion, LiveProxy } from './live-proxy.ts';

/** What a device has sent, whole. */
export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An answer as it is sent: its body may be compressed. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  /** How long the proxy keeps it before it sends it. */
  readonly heldMs?: number;
}

/**
 * What a proxy makes of a request: it may ask the server (`forward`), or not, or twice, and answer what the
 * server did, or anything else.
 */
export type Distortion = (asked: Asked, forward: () => Promise<Answer>) => Promise<Answer>;

/** All that a proxy may make of what it passes on. What is left out passes as it is. */
export interface Faults {
  readonly answers?: Distortion;
  readonly live?: LiveDistortion;
}

const unchanged: Distortion = (_asked, forward) => forward();

/** They are about one connection, and there are two. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host'];
/** Longer than any pause of a check: a device must never find its connection closed as it sends. */
const KEEP_ALIVE_MS = 600_000;

/**
 * A server that breaks the protocol: a proxy before one that keeps it. Devices sign method, path, query, body
 * and token, but not the host, so what they send is valid at the server behind, and answers are not signed.
 */
export class DistortingProxy {
  /** How many answers and notices were not the server’s own. */
  distorted = 0;
  /** What went wrong in the proxy itself: a check that failed meanwhile has proven nothing. */
  readonly errors: unknown[] = [];
  readonly #server: Server;
  readonly #gateway: URL;
  readonly #distortion: Distortion;
  readonly #live: LiveProxy;

  private constructor(gateway: string, { answers = unchanged, live = {} }: Faults) {
    this.#gateway = new URL(gateway);
    this.#distortion = answers;
    this.#live = new LiveProxy(this.#gateway, live, {
      distorted: () => (this.distorted += 1),
      failed: (error) => this.errors.push(error),
    });
    this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (from, to) => {
      this.#serve(from, to).catch((error: unknown) => {
        if (to.destroyed) return;
        this.errors.push(error);
        to.destroy();
      });
    });
    this.#server.on('upgrade', (...request) => this.#live.open(...request));
  }

  /** @param faults of the answers alone, or of everything */
  static async start(gateway: string, faults: Distortion | Faults = {}): Promise<DistortingProxy> {
    const all = typeof faults === 'function' ? { answers: faults } : faults;
    const proxy = new DistortingProxy(gateway, all);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#live.stop();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const path = from.url ?? '/';
    const asked: Asked = {
      method: from.method ?? 'GET',
      path: path.split('?')[0] ?? '',
      headers: from.headers,
      body: await bytesOf(from),
    };
    const gone = new AbortController();
    to.once('close', () => gone.abort());
    const given = new Set<Answer>();
    const answer = await this.#distortion(asked, async () => {
      const told = await this.#ask(asked, path, gone.signal);
      given.add(told);
      return told;
    });
    if (!given.has(answer)) this.distorted += 1;
    if (answer.heldMs !== undefined) await sleep(answer.heldMs, undefined, { ref: false });
    // Without this Node adds what the server had, or what a fault has taken away.
    to.sendDate = false;
    to.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length }).end(answer.body);
  }

  async #ask(asked: Asked, path: string, signal: AbortSignal): Promise<Answer> {
    const { method, headers, body } = asked;
    const options = { method, headers: endToEnd(headers), signal, agent: false } as const;
    const ask = this.#gateway.protocol === 'https:' ? requestByTls : request;
    const onward = ask(new URL(path, this.#gateway), options);
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    return {
      status: answer.statusCode ?? 0,
      headers: endToEnd(answer.headers),
      body: await bytesOf(answer),
    };
  }
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function endToEnd(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => !HOP_BY_HOP.includes(name) && value !== undefined),
  ) as Record<string, string | string[]>;
}

/** The JSON of a body, as sent or inflated; null where there is none. */
export function jsonOf<T>({ headers, body }: Pick<Answer | Asked, 'headers' | 'body'>): T | null {
  const text = inflated(headers['content-encoding'], body).toString();
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

function inflated(encoding: unknown, body: Buffer): Buffer {
  if (encoding === 'gzip') return gunzipSync(body);
  return encoding === 'br' ? brotliDecompressSync(body) : body;
}

/** The same answer with another body. */
export function withJson({ status, headers }: Answer, json: unknown): Answer {
  const { 'content-encoding': _compressed, ...others } = headers;
  const isProblem = status >= 400;
  const type = isProblem ? 'application/problem+json' : 'application/json; charset=utf-8';
  return {
    status,
    headers: { ...others, 'content-type': type },
    body: Buffer.from(JSON.stringify(json)),
  };
}
