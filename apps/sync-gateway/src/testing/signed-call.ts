import { createHash, createHmac } from 'node:crypto';
import { parseSignatureInput, signatureBase, signatureParams } from '@sync/protocol';
import type { TestDevice } from './test-identity.ts';

/** What a call differs in from the ordinary one. */
export interface CallOptions {
  readonly method?: string;
  /** Bytes to send instead of the value as JSON; they are signed as they are. */
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly clockOffsetMs?: number;
  readonly signal?: AbortSignal;
  /** Changes the signed headers just before they are sent: for forgeries. */
  readonly tamper?: (headers: Record<string, string>) => void;
}

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** Headers of a signed request, as docs/protocol.md describes. */
export function signedHeaders(
  device: TestDevice,
  method: string,
  url: URL,
  bytes: Uint8Array | null,
  clockOffsetMs = 0,
): Record<string, string> {
  const authorization = `Bearer ${device.accessToken}`;
  const contentDigest = bytes ? `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:` : null;
  const params = signatureParams(
    device.deviceId,
    Math.floor((Date.now() + clockOffsetMs) / 1000),
    bytes !== null,
  );
  const components = parseSignatureInput(`sync=${params}`, bytes !== null)?.components ?? [];
  const parts = { method, path: url.pathname, query: url.search || '?', contentDigest, authorization };
  const signature = createHmac('sha256', Buffer.from(device.hmacKey, 'base64'))
    .update(signatureBase(parts, components, params))
    .digest('base64');
  return {
    authorization,
    'signature-input': `sync=${params}`,
    signature: `sync=:${signature}:`,
    ...(contentDigest ? { 'content-digest': contentDigest, 'content-type': 'application/json' } : {}),
  };
}

/** Calls a gateway as a device does and answers whatever it answers. */
export async function signedCall<T = Record<string, unknown>>(
  baseUrl: string,
  device: TestDevice,
  path: string,
  value: unknown,
  options: CallOptions = {},
): Promise<Answer<T>> {
  const url = new URL(path, baseUrl);
  const method = options.method ?? 'POST';
  const bytes = method === 'GET' ? null : (options.bytes ?? new TextEncoder().encode(JSON.stringify(value)));
  const headers = { ...signedHeaders(device, method, url, bytes, options.clockOffsetMs), ...options.headers };
  options.tamper?.(headers);
  const response = await fetch(url, {
    method,
    headers,
    ...(bytes ? { body: new Uint8Array(bytes) } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: (text ? JSON.parse(text) : null) as T };
}
