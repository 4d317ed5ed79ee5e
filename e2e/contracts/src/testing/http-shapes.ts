import { MatchersV3 } from '@pact-foundation/pact';

const { like, regex, timestamp } = MatchersV3;

export const TIME = timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSX", '2026-01-01T00:00:00.000Z');

/** A contract cannot hold a signature, only its shape: the verification signs anew. */
export const SIGNED_GET = {
  authorization: regex('^Bearer .+', 'Bearer a.b.c'),
  'signature-input': regex(
    '^sync=\\(.+\\);created=\\d+;keyid=".+";alg="hmac-sha256"$',
    'sync=("@method");created=1;keyid="d";alg="hmac-sha256"',
  ),
  signature: regex('^sync=:[A-Za-z0-9+/=]+:$', 'sync=:AAAA:'),
};
export const SIGNED = {
  ...SIGNED_GET,
  'content-type': 'application/json',
  'content-digest': regex('^sha-256=:[A-Za-z0-9+/=]+:$', 'sha-256=:AAAA:'),
};

/** Pact's patterns match as a whole. */
export const PROBLEM_TYPE = regex('application/problem\\+json.*', 'application/problem+json');

export const problemOf = (status: number, code: string, retryable: boolean): object => ({
  type: `urn:sync-service:problem:${code}`,
  title: like('Something'),
  status,
  detail: like('happened'),
  code,
  retryable,
  serverTime: TIME,
});
