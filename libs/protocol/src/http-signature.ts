/**
 * RFC 9421 HTTP Message Signatures, the one profile of protocol v1: label `sync`, `hmac-sha256`, fixed
 * components in any order. Pure: building and parsing only; hashing is the caller's, so that a browser uses
 * WebCrypto and a server node:crypto.
 *
 * Parsing accepts only the canonical text of RFC 8941, because the verifier signs the received text again:
 * with two readings of one text, what is verified could differ from what is used.
 */
import { DEVICE_ID_PATTERN } from './patterns.ts';
import { dictionaryMembers } from './structured-fields.ts';

export interface SignedRequest {
  readonly method: string;
  /** As sent, percent-encoded, without the query. */
  readonly path: string;
  /** With its leading `?`; `?` alone when there is none (RFC 9421, 2.2.7). */
  readonly query: string;
  readonly contentDigest: string | null;
  readonly authorization: string;
}

export interface SignatureInput {
  readonly keyId: string;
  readonly createdSeconds: number;
  /** The value after `sync=`, byte for byte as received: it is itself signed. */
  readonly params: string;
  readonly components: readonly string[];
}

const COMPONENTS_WITH_BODY = ['@method', '@path', '@query', 'content-digest', 'authorization'] as const;
const COMPONENTS_WITHOUT_BODY = ['@method', '@path', '@query', 'authorization'] as const;

/** What is signed, in the order of {@link signatureParams}. */
export function signatureComponents(hasBody: boolean): readonly string[] {
  return hasBody ? COMPONENTS_WITH_BODY : COMPONENTS_WITHOUT_BODY;
}

/**
 * @param keyId the deviceId
 * @param createdSeconds Unix time, whole seconds
 * @returns the signature parameters that a device sends as `Signature-Input: sync=<params>`
 */
export function signatureParams(keyId: string, createdSeconds: number, hasBody: boolean): string {
  const list = signatureComponents(hasBody)
    .map((name) => `"${name}"`)
    .join(' ');
  return `(${list});created=${createdSeconds};keyid="${keyId}";alg="hmac-sha256"`;
}

/** The text that is signed for a request, over the components in the order that `params` lists them. */
export function signatureBase(request: SignedRequest, components: readonly string[], params: string): string {
  const values = new Map([
    ['@method', request.method],
    ['@path', request.path],
    ['@query', request.query],
    ['content-digest', request.contentDigest ?? ''],
    ['authorization', request.authorization],
  ]);
  return baseOver(
    components.map((name) => [name, values.get(name) ?? '']),
    params,
  );
}

/**
 * The signature base of RFC 9421, section 2.5, over any components. It stands alone because none of the
 * RFC's own examples has the five components of this profile.
 * @param components names and values, in the order in which they are signed
 */
export function baseOver(components: readonly (readonly [string, string])[], params: string): string {
  const lines = components.map(([name, value]) => `"${name}": ${value}`);
  return [...lines, `"@signature-params": ${params}`].join('\n');
}

const INPUT =
  /^\(((?:"[@a-z-]{1,40}"(?: (?="))?){1,8})\)((?:;[a-z]{1,16}=(?:\d{1,15}|"[^"\\]{1,200}")){1,8})$/;
const PARAMETER = /;([a-z]+)=(\d+|"[^"]*")/g;
const DEVICE_ID = new RegExp(DEVICE_ID_PATTERN);

/**
 * @param header the `Signature-Input` field value; members with other labels are left alone
 * @param hasBody whether `content-digest` must be covered
 * @returns null when the member `sync` is missing, malformed, of another profile, or does not cover exactly
 *   the required components. `nonce` and `tag` may be there and mean nothing; `expires` is refused, since
 *   nobody would enforce it: `created` alone limits a signature's life.
 */
export function parseSignatureInput(header: string | undefined, hasBody: boolean): SignatureInput | null {
  const params = dictionaryMembers(header)?.get('sync') ?? '';
  const [, list = '', parameterText = ''] = INPUT.exec(params) ?? [];
  const components = list.split(' ').map((item) => item.slice(1, -1));
  const required = signatureComponents(hasBody);
  if (components.length !== required.length || !required.every((name) => components.includes(name)))
    return null;
  const parameters = readParameters(parameterText);
  return parameters === null ? null : { ...parameters, params, components };
}

function readParameters(text: string): { keyId: string; createdSeconds: number } | null {
  const parameters = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(PARAMETER)) {
    if (parameters.has(name) || !['created', 'keyid', 'alg', 'nonce', 'tag'].includes(name)) return null;
    parameters.set(name, value);
  }
  const created = parameters.get('created') ?? '';
  const keyId = parameters.get('keyid')?.slice(1, -1) ?? '';
  // `created` is an integer, without quotes or leading zeros; `keyid` and `alg` are quoted strings.
  if (!/^(0|[1-9]\d*)$/.test(created) || !DEVICE_ID.test(keyId)) return null;
  if (parameters.get('keyid') !== `"${keyId}"` || parameters.get('alg') !== '"hmac-sha256"') return null;
  return { keyId, createdSeconds: Number(created) };
}

const SHA256_BYTES = /^:([A-Za-z0-9+/]{43}=):$/;

/** @returns the base64 text of the member `sync` of a `Signature` field (32 bytes), or null */
export function parseSignature(header: string | undefined): string | null {
  return SHA256_BYTES.exec(dictionaryMembers(header)?.get('sync') ?? '')?.[1] ?? null;
}

/**
 * @returns the base64 SHA-256 in a `Content-Digest` field (RFC 9530), or null when absent or of other
 * algorithms only
 */
export function parseContentDigest(header: string | undefined): string | null {
  return SHA256_BYTES.exec(dictionaryMembers(header)?.get('sha-256') ?? '')?.[1] ?? null;
}
