/**
 * RFC 9421 HTTP Message Signatures, the one profile of protocol v1: label `sync`, `hmac-sha256`, fixed components. Pure: building and
 * parsing only; hashing is the caller's, so that a browser uses WebCrypto and a server node:crypto.
 */

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

/** @returns the signature parameters that a device sends as `Signature-Input: sync=<params>` */
export function signatureParams(keyId: string, createdSeconds: number, hasBody: boolean): string {
  const components = hasBody ? COMPONENTS_WITH_BODY : COMPONENTS_WITHOUT_BODY;
  const list = components.map((name) => `"${name}"`).join(' ');
  return `(${list});created=${createdSeconds};keyid="${keyId}";alg="hmac-sha256"`;
}

/** The signature base of RFC 9421, section 2.5, over the components in the order that `params` lists them. */
export function signatureBase(request: SignedRequest, components: readonly string[], params: string): string {
  const values: Readonly<Record<string, string>> = {
    '@method': request.method,
    '@path': request.path,
    '@query': request.query,
    'content-digest': request.contentDigest ?? '',
    authorization: request.authorization,
  };
  const lines = components.map((name) => `"${name}": ${values[name] ?? ''}`);
  return [...lines, `"@signature-params": ${params}`].join('\n');
}

const INPUT = /^sync=(\(([^()]{0,300})\)((?:;[a-z]+=(?:\d{1,15}|"[A-Za-z0-9._~-]{1,200}"))+))$/;
const PARAMETER = /;([a-z]+)=(?:(\d{1,15})|"([^"]*)")/g;

/**
 * @param header the `Signature-Input` field value
 * @param hasBody whether `content-digest` must be covered
 * @returns null when the field is missing, malformed, of another profile, or leaves a required component uncovered
 */
export function parseSignatureInput(header: string | undefined, hasBody: boolean): SignatureInput | null {
  const match = INPUT.exec(header ?? '');
  if (!match?.[1]) return null;
  const components = (match[2] ?? '').split(' ').map((item) => item.replace(/^"(.*)"$/, '$1'));
  const required: readonly string[] = hasBody ? COMPONENTS_WITH_BODY : COMPONENTS_WITHOUT_BODY;
  const covered = new Set(components);
  if (covered.size !== components.length || covered.size !== required.length) return null;
  if (!required.every((name) => covered.has(name))) return null;
  const parameters = new Map<string, string>();
  for (const [, name, digits, text] of (match[3] ?? '').matchAll(PARAMETER)) {
    if (name === undefined || parameters.has(name)) return null;
    parameters.set(name, digits ?? text ?? '');
  }
  const keyId = parameters.get('keyid');
  const created = Number(parameters.get('created') ?? Number.NaN);
  if (!keyId || !Number.isSafeInteger(created) || parameters.get('alg') !== 'hmac-sha256') return null;
  return { keyId, createdSeconds: created, params: match[1], components };
}

/** @returns the base64 text of the label `sync` in a `Signature` field, or null */
export function parseSignature(header: string | undefined): string | null {
  return /^sync=:([A-Za-z0-9+/]{43}=):$/.exec(header ?? '')?.[1] ?? null;
}

/** @returns the base64 SHA-256 in a `Content-Digest` field (RFC 9530), or null when absent or of another algorithm only */
export function parseContentDigest(header: string | undefined): string | null {
  return /(?:^|,\s*)sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header ?? '')?.[1] ?? null;
}
