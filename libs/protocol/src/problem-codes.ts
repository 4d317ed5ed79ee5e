/**
 * The closed list of problem codes (RFC 9457 `code`). `status` is the HTTP status, `retryable` says whether
 * the very same request may succeed later, `title` is for people, `remedy` tells the caller what to do.
 */
export interface ProblemKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly remedy: string;
}

export const PROBLEM_CODES = {
  malformed_json: {
    status: 400,
    retryable: false,
    title: 'The body is not valid JSON',
    remedy: 'Send UTF-8 JSON.',
  },
  malformed_request: {
    status: 400,
    retryable: false,
    title: 'The request is not valid HTTP/1.1',
    remedy: 'Send request line, fields and body as RFC 9112 has them.',
  },
  schema_invalid: {
    status: 400,
    retryable: false,
    title: 'The request does not match its schema',
    remedy: 'See `errors` for the offending paths.',
  },
  limit_exceeded: {
    status: 400,
    retryable: false,
    title: 'A limit of the protocol is exceeded',
    remedy: 'Send less at once; limits are listed in docs/protocol.md.',
  },
  cursor_invalid: {
    status: 400,
    retryable: false,
    title: 'The cursor is forged, foreign or damaged',
    remedy: 'Pull that scope with cursor null.',
  },
  registration_invalid: {
    status: 400,
    retryable: false,
    title: 'The registration contradicts itself',
    remedy: 'See `errors` for the offending paths.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'No valid access token',
    remedy: 'Get a fresh token from the identity service.',
  },
  signature_invalid: {
    status: 401,
    retryable: false,
    title: 'The request signature does not verify',
    remedy: 'Sign method, path, query, content-digest and authorization as docs/protocol.md describes.',
  },
  clock_skew: {
    status: 401,
    retryable: true,
    title: 'The signature was created too far from server time',
    remedy: 'Correct the clock offset with `serverTime` and sign again.',
  },
  ticket_invalid: {
    status: 401,
    retryable: false,
    title: 'The ticket is unknown, used or expired',
    remedy: 'Get a new ticket.',
  },
  device_not_bound: {
    status: 403,
    retryable: false,
    title: 'The device is not bound to this user',
    remedy: 'Bind the device with the identity service.',
  },
  device_revoked: {
    status: 403,
    retryable: false,
    title: 'The device was revoked',
    remedy: 'Remove local data; bind the device again.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    title: 'Not allowed',
    remedy: 'The role that is needed is missing.',
  },
  not_found: { status: 404, retryable: false, title: 'No such resource', remedy: 'Check the path.' },
  method_not_allowed: { status: 405, retryable: false, title: 'Method not allowed', remedy: 'See OpenAPI.' },
  request_timeout: {
    status: 408,
    retryable: true,
    title: 'The request did not arrive in time',
    remedy: 'Send it again, less at once where the connection is slow.',
  },
  entity_type_taken: {
    status: 409,
    retryable: false,
    title: 'Another service owns this entity type',
    remedy: 'Choose another name, or move the type in the owning service’s registration.',
  },
  conflict_already_resolved: {
    status: 409,
    retryable: false,
    title: 'The ConflictRecord is resolved',
    remedy: 'Read the record in the answer.',
  },
  conflict_moved: {
    status: 409,
    retryable: false,
    title: 'The entity changed since the resolution was prepared',
    remedy: 'Read the record again and resolve against the new clock.',
  },
  suggestion_not_ready: {
    status: 409,
    retryable: false,
    title: 'The suggestion cannot be accepted',
    remedy: 'Read the record again: its suggestions say what became of them.',
  },
  suggestions_disabled: {
    status: 409,
    retryable: false,
    title: 'The tenant has no suggestions',
    remedy: 'Resolve by hand.',
  },
  payload_too_large: {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    remedy: 'Send less at once.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    title: 'Content type or encoding is not supported',
    remedy: 'Send application/json, plain, gzip or br.',
  },
  resolution_rejected: {
    status: 422,
    retryable: false,
    title: 'The owning service does not accept the resolution',
    remedy: 'See `ownerCode`; the conflict stays open. Resolve it in another way.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'The fields of the request are too large',
    remedy: 'Send at most 16 KiB of them.',
  },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests', remedy: 'Wait for Retry-After.' },
  internal: {
    status: 500,
    retryable: true,
    title: 'An unexpected fault',
    remedy: 'Send the same request again; report the request id if it persists.',
  },
  unavailable: {
    status: 503,
    retryable: true,
    title: 'A part that this request needs is not available',
    remedy: 'Wait for Retry-After and send the same request again.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEM_CODES;
