import { once } from 'node:events';
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  createServer,
  request,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Problem } from '@sync/protocol';

/** Where requests go, and where readiness is asked for. */
interface ReplicaUrls {
  readonly url: string;
  readonly opsUrl: string;
}

interface Replica {
  readonly url: URL;
  readonly opsUrl: URL;
  ready: boolean;
  /** Times in a row that it did not say that it is ready. */
  missed: number;
}

const POLL_MS = 200;
/** As balancers do: one answer that comes late on a busy machine is no reason to leave a replica. */
const FALL = 3;
/** They are about one connection, and there are two. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);

/**
 * What stands before a company's gateways: it asks each replica for its readiness five times a second, sends
 * new requests and sockets to those that are ready, in turns, and keeps connections to them. It never sends a
 * request twice: whatever a replica drops, its client sees (502).
 */
export class Balancer {
  readonly #replicas: readonly Replica[];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: Server;
  readonly #polling: NodeJS.Timeout;
  #turn = 0;

  private constructor(replicas: readonly ReplicaUrls[]) {
    this.#replicas = replicas.map(({ url, opsUrl }) => {
      return { url: new URL(url), opsUrl: new URL(opsUrl), ready: false, missed: 0 };
    });
    this.#server = createServer((from, to) => this.#forward(from, to));
    this.#server.on('upgrade', (from: IncomingMessage, socket, head) => this.#tunnel(from, socket, head));
    this.#polling = setInterval(() => void this.#poll(), POLL_MS);
  }

  static async start(replicas: readonly ReplicaUrls[]): Promise<Balancer> {
    const balancer = new Balancer(replicas);
    await balancer.#poll();
    await once(balancer.#server.listen(0, '127.0.0.1'), 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Whether it sends requests to all of them: only then may the next one be stopped. */
  get complete(): boolean {
    return this.#replicas.every(({ missed }) => missed === 0);
  }

  stop(): void {
    clearInterval(this.#polling);
    this.#agent.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #poll(): Promise<void> {
    await Promise.all(
      this.#replicas.map(async (replica) => {
        const ready = new URL('/health/ready', replica.opsUrl);
        const answer = await fetch(ready, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
        await answer?.body?.cancel();
        replica.missed = answer?.status === 200 ? 0 : replica.missed + 1;
        replica.ready = replica.missed === 0 || (replica.ready && replica.missed < FALL);
      }),
    );
  }

  #next(): URL | undefined {
    const ready = this.#replicas.filter((replica) => replica.ready);
    this.#turn += 1;
    return ready[this.#turn % ready.length]?.url;
  }

  #forward(from: IncomingMessage, to: ServerResponse): void {
    const replica = this.#next();
    if (replica === undefined) {
      refuse(to, 503, 'no replica is ready');
      return;
    }
    const url = new URL(from.url ?? '/', replica);
    const headers = { ...endToEnd(from.headers), host: replica.host };
    const onward = request(url, { method: from.method, headers, agent: this.#agent }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
      answer.pipe(to);
      answer.on('error', () => to.destroy());
    });
    onward.on('error', (error) => {
      if (to.headersSent) to.destroy();
      else refuse(to, 502, `${replica.host}: ${error.message}`);
    });
    to.on('close', () => onward.destroy());
    from.pipe(onward);
  }

  #tunnel(from: IncomingMessage, client: Duplex, head: Buffer): void {
    const replica = this.#next();
    if (replica === undefined) {
      client.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
      return;
    }
    const onward = connect(Number(replica.port), replica.hostname);
    const lines = from.rawHeaders.flatMap((name, at) =>
      at % 2 === 0 ? [`${name}: ${from.rawHeaders[at + 1] ?? ''}`] : [],
    );
    onward.write([`GET ${from.url ?? '/'} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
    onward.write(head);
    client.pipe(onward).pipe(client);
    onward.on('error', () => client.destroy());
    client.on('error', () => onward.destroy());
  }
}

/** In the words of the protocol: of other answers a device does not say what stood in them. */
function refuse(to: ServerResponse, status: number, detail: string): void {
  const problem: Problem = {
    ...{ type: 'urn:sync-service:problem:unavailable', code: 'unavailable', title: 'The balancer says' },
    ...{ status, detail, retryable: true, serverTime: new Date().toISOString() },
  };
  to.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
}

function endToEnd(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!HOP_BY_HOP.has(name) && value !== undefined) kept[name] = value;
  }
  return kept;
}
