import { createHash, createHmac } from 'node:crypto';
import { findUnstorable, parseSignatureInput, signatureBase, signatureParams } from '@sync/protocol';

/** What identity hands a device when it is bound. */
export interface DeviceCredentials {
  readonly deviceId: string;
  /** base64 */
  readonly hmacKey: string;
  readonly accessToken: string;
}

interface SignedRequestParts {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | null;
}

/**
 * Signs one request as protocol v1 asks (RFC 9421, label `sync`). Not by the SDK: it signs what the SDK would
 * not, such as another time, or a body that is compressed already.
 * @param url absolute; `path` and `query` are signed as they stand in it
 * @param body the bytes exactly as they will be sent (already compressed, if they are), or null
 * @param createdSeconds the device's idea of server time
 */
export function signRequest(
  credentials: DeviceCredentials,
  method: string,
  url: URL,
  body: Uint8Array | null,
  createdSeconds: number,
): SignedRequestParts {
  const authorization = `Bearer ${credentials.accessToken}`;
  const contentDigest = body ? `sha-256=:${createHash('sha256').update(body).digest('base64')}:` : null;
  const params = signatureParams(credentials.deviceId, createdSeconds, body !== null);
  const components = parseSignatureInput(`sync=${params}`, body !== null)?.components;
  if (!components) throw new RangeError(`deviceId "${credentials.deviceId}" cannot be signed for`);
  const base = signatureBase(
    { method, path: url.pathname, query: url.search || '?', contentDigest, authorization },
    components,
    params,
  );
  const signature = createHmac('sha256', Buffer.from(credentials.hmacKey, 'base64'))
    .update(base)
    .digest('base64');
  return {
    body,
    headers: {
      authorization,
      ...(contentDigest ? { 'content-digest': contentDigest, 'content-type': 'application/json' } : {}),
      'signature-input': `sync=${params}`,
      signature: `sync=:${signature}:`,
    },
  };
}

/** An answer of the gateway: status, headers and the parsed body (null when there is none). */
export interface GatewayAnswer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** The gateway has answered with a NUL or half a surrogate pair. */
export class NotStrictError extends Error {
  override readonly name = 'NotStrictError';
}

/**
 * Signs and sends `body` as JSON; answers whatever the gateway answers, also problems.
 * @throws NotStrictError
 */
export async function callGateway<T = Record<string, unknown>>(
  gatewayUrl: string,
  credentials: DeviceCredentials,
  path: string,
  body: unknown,
  options: { method?: string; clockOffsetMs?: number; signal?: AbortSignal } = {},
): Promise<GatewayAnswer<T>> {
  const url = new URL(path, gatewayUrl);
  const method = options.method ?? 'POST';
  const bytes = method === 'GET' ? null : new TextEncoder().encode(JSON.stringify(body));
  const createdSeconds = Math.floor((Date.now() + (options.clockOffsetMs ?? 0)) / 1000);
  const signed = signRequest(credentials, method, url, bytes, createdSeconds);
  const response = await fetch(url, {
    method,
    headers: signed.headers,
    ...(signed.body ? { body: new Uint8Array(signed.body) } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const text = new TextDecoder('utf-8', { fatal: true }).decode(await response.arrayBuffer());
  return {
    status: response.status,
    headers: response.headers,
    body: (text ? readStrictly(text) : null) as T,
  };
}

/** What JSON.parse lets pass, and readers of other languages and their databases do not. */
const NUL_OR_HALF = /\\u(?:0000|d[89a-f])/i;

/** @throws NotStrictError */
function readStrictly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const fault = NUL_OR_HALF.test(text) ? findUnstorable(value) : null;
  if (fault) throw new NotStrictError(`The answer is not strict JSON: ${fault.path} ${fault.message}`);
  return value;
}
