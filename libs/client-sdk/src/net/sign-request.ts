import { sha256 } from '@noble/hashes/sha2.js';
import { signatureBase, signatureComponents, signatureParams } from '@sync/protocol/device';
import { toBase64 } from './base64.ts';
import type { DeviceKey } from './transport.ts';
import { webCrypto } from './webcrypto.ts';

export interface RequestToSign {
  readonly method: string;
  /** As it is sent, with its query. */
  readonly path: string;
  /** The bytes that are sent, compressed or not; null when there are none. */
  readonly body: Uint8Array<ArrayBuffer> | null;
  readonly deviceId: string;
  readonly token: string;
  /** When it is signed, by the server’s time. Unix time, whole seconds. */
  readonly createdSeconds: number;
}

/** @returns the fields that prove who sends a request (RFC 9421, ACCESS-2) */
export async function signRequest(request: RequestToSign, key: DeviceKey): Promise<Record<string, string>> {
  const { method, body, deviceId, createdSeconds } = request;
  const [path = '', query] = request.path.split(/\?(.*)/s, 2);
  const authorization = `Bearer ${request.token}`;
  const contentDigest = body ? `sha-256=:${await sha256Base64(body)}:` : null;
  const params = signatureParams(deviceId, createdSeconds, body !== null);
  const signed = { method, path, query: `?${query ?? ''}`, contentDigest, authorization };
  const signature = await key.sign(signatureBase(signed, signatureComponents(body !== null), params));
  return {
    authorization,
    ...(contentDigest === null ? {} : { 'content-digest': contentDigest }),
    'signature-input': `sync=${params}`,
    signature: `sync=:${signature}:`,
  };
}

/** By WebCrypto where there is one: a body may have a MiB, which takes plain JavaScript long on a phone. */
async function sha256Base64(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const subtle = webCrypto();
  return toBase64(subtle ? new Uint8Array(await subtle.digest('SHA-256', bytes)) : sha256(bytes));
}
