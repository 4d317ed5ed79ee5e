import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';

export interface SigningKeysOptions {
  readonly url: URL;
  /** How long keys that were read go on being good while they cannot be read again. */
  readonly graceMs: number;
  /** How long keys are good without being read again. */
  readonly maxAgeMs?: number;
}

const READ_LIMIT_MS = 3_000;
const COOLDOWN_MS = 1_000;
const MAX_AGE_MS = 600_000;
/**
 * While the keys cannot be read, one request in so long finds out whether they can; the others do not wait
 * for it.
 */
const AWAY_MS = 5_000;

/**
 * The identity service's public keys, read over HTTP. When they cannot be read any more those of the last
 * time stay good for a while: a token that was signed with one of them is as true as before. A key that is
 * not among them may be new, which only the service could say.
 */
export function signingKeys({ url, graceMs, maxAgeMs = MAX_AGE_MS }: SigningKeysOptions): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(url, {
    cooldownDuration: COOLDOWN_MS,
    timeoutDuration: READ_LIMIT_MS,
    cacheMaxAge: maxAgeMs,
  });
  let goodAtMs = -Infinity;
  let awayUntilMs = -Infinity;
  let why: unknown;
  return async (header, token) => {
    if (performance.now() >= awayUntilMs) {
      try {
        const key = await remote(header, token);
        goodAtMs = performance.now();
        return key;
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) throw error;
        why = error;
        awayUntilMs = performance.now() + AWAY_MS;
      }
    }
    const known = remote.jwks();
    if (!known || performance.now() > goodAtMs + graceMs) throw why;
    return createLocalJWKSet(known)(header, token).catch(() => {
      throw why;
    });
  };
}
