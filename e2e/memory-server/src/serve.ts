import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Caller, RefusedRequest, type TestServer } from '@sync/client-testing';
import { ProblemError } from '@sync/service-kit/problem-error';
import { isSignedWith, readSignature, verifyBody } from '@sync/service-kit/verify-signature';
import { devOperations } from './dev-operations.ts';
import { Identities } from './identities.ts';
import { LiveSockets } from './live-sockets.ts';
import { readJson, readRaw } from './read-body.ts';

/** Less is not worth it. */
const COMPRESSED_FROM_BYTES = 1_024;

export interface ServedTestServer {
  /** Gateway, identity service and owning service alike. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Shows a server in memory to devices that come by HTTP, signed, as the gateway asks for it. */
export async function serve(server: TestServer, port = 0): Promise<ServedTestServer> {
  const shell = new Shell(server);
  // A long answer is worked out in one go: nobody's idle connection is closed for that.
  const http = createServer(
    { keepAliveTimeout: 60_000 },
    (request, response) => void shell.answer(request, response),
  );
  http.on('upgrade', (request, socket, head) => shell.live.open(request, socket, head));
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  const { port: bound } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    async stop() {
      shell.live.stop();
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

class Shell {
  readonly live: LiveSockets;
  readonly #server: TestServer;
  readonly #identities: Identities;
  readonly #dev: ReturnType<typeof devOperations>;

  constructor(server: TestServer) {
    this.live = new LiveSockets(server);
    this.#server = server;
    this.#identities = new Identities(server);
    this.#dev = devOperations(server, this.#identities);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await this.#route(request, response);
      if (body === undefined) response.writeHead(204).end();
      else send(request, response, 200, 'application/json', body, {});
    } catch (error) {
      if (!response.headersSent) sendProblem(request, response, problemOf(error));
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const { method = '', url = '' } = request;
    const path = url.split('?')[0] ?? '';
    for (const { matches, run } of this.#dev) {
      const found = matches.exec(`${method} ${path}`);
      if (!found) continue;
      const body = readJson(await readRaw(request, path), path, request);
      return run(found.slice(1).map(decodeURIComponent), body);
    }
    if (!path.startsWith('/sync/v1/')) throw new ProblemError('not_found', `There is nothing at ${path}`);
    const { caller, digest } = this.#authenticate(request);
    const raw = await readRaw(request, path);
    verifyBody(digest, raw);
    const body = method === 'GET' ? undefined : readJson(raw, path, request);
    if (`${method} ${path}` === 'POST /sync/v1/tickets') return this.live.ticketFor(caller);
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    return this.#server.answer(caller, { method, path: url, body, signal: gone.signal });
  }

  /** @throws ProblemError as ACCESS-1 to 9 say, by the functions of the gateway */
  #authenticate(request: IncomingMessage): { readonly caller: Caller; readonly digest: string | null } {
    const { headers, method = '', url = '' } = request;
    const authorization = headers.authorization ?? '';
    const { tenantId, userId } = this.#identities.holderOf(authorization);
    const parts = {
      ...{ method, url, authorization },
      signatureInput: single(headers['signature-input']),
      signature: single(headers['signature']),
      contentDigest: single(headers['content-digest']),
      announcesBody: Number(headers['content-length'] ?? 0) > 0,
    };
    const claimed = readSignature(parts, Date.now());
    const caller = { tenantId, userId, deviceId: claimed.input.keyId };
    const device = this.#server.deviceOf(caller);
    const bound = this.#identities.find(caller.deviceId);
    if (!device || !bound) throw new ProblemError('device_not_bound', 'The device is not bound to this user');
    if (device.isRevoked) throw new ProblemError('device_revoked', 'The device was revoked');
    if (!isSignedWith([createSecretKey(bound.key)], parts, claimed))
      throw new ProblemError('signature_invalid', 'The signature does not match');
    return { caller, digest: claimed.digest };
  }
}

const single = (field: string | string[] | undefined): string | undefined =>
  Array.isArray(field) ? field.join(', ') : field;

function problemOf(error: unknown): ProblemError | RefusedRequest {
  if (error instanceof ProblemError || error instanceof RefusedRequest) return error;
  return new ProblemError(
    'internal',
    error instanceof Error ? String(error.stack) : 'something else was thrown',
  );
}

function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: ProblemError | RefusedRequest,
): void {
  const retryAfter = error instanceof RefusedRequest ? error.options.retryAfter : undefined;
  const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  // What is left of a body that nobody reads.
  request.resume();
  send(request, response, error.status, 'application/problem+json', error.toBody(Date.now()), headers);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): void {
  const text = Buffer.from(JSON.stringify(body));
  const isCompressed =
    text.length >= COMPRESSED_FROM_BYTES && /\bgzip\b/.test(String(request.headers['accept-encoding']));
  const encoding = isCompressed ? { 'content-encoding': 'gzip' } : {};
  response.writeHead(status, { 'content-type': type, ...encoding, ...headers });
  response.end(isCompressed ? gzipSync(text) : text);
}
