import { TENANT_ID_PATTERN, USER_ID_PATTERN } from '@sync/protocol';
import { errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { ProblemError } from './problem-error.ts';
import { signingKeys } from './signing-keys.ts';

/** Who a verified access token speaks for. Tenant and user come from nowhere else. */
export interface TokenClaims {
  readonly tenantId: string;
  readonly userId: string;
  readonly roles: readonly string[];
  readonly expiresAtMs: number;
}

export interface TokenVerifierOptions {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
  /** Pinned: an attacker must not choose the algorithm. */
  readonly algorithms?: readonly string[];
  readonly maxCached?: number;
  /** How long the keys that were read last stay good while they cannot be read; default 0. */
  readonly keysGraceMs?: number;
}

const TENANT = new RegExp(TENANT_ID_PATTERN);
const USER = new RegExp(USER_ID_PATTERN);
const CLOCK_TOLERANCE_SECONDS = 5;

/**
 * Verifies access tokens against the identity service's JWKS. Verified tokens are remembered until they
 * expire: an ES256 verification costs about 0.1 ms, a look-up a microsecond. Revocation is the device
 * binding's business, not the token's.
 */
export class TokenVerifier {
  private readonly verified = new Map<string, TokenClaims>();
  private readonly options: TokenVerifierOptions;
  private readonly keys: JWTVerifyGetKey;

  constructor(options: TokenVerifierOptions) {
    this.options = options;
    this.keys = signingKeys({ url: new URL(options.jwksUrl), graceMs: options.keysGraceMs ?? 0 });
  }

  /**
   * @param authorization the `Authorization` field value
   * @throws ProblemError `unauthenticated`, or `unavailable` when the keys cannot be fetched
   */
  async verify(authorization: string | undefined): Promise<TokenClaims> {
    const token = /^Bearer ([A-Za-z0-9_.-]{20,8192})$/.exec(authorization ?? '')?.[1];
    if (!token)
      throw new ProblemError('unauthenticated', 'Authorization: Bearer <token> is missing or malformed');
    const known = this.verified.get(token);
    if (known && known.expiresAtMs > Date.now()) return known;
    const claims = await this.verifyFresh(token);
    // The oldest entry makes room: with one token an hour and user, a full map means tokens that are long out
    // of use.
    const oldest =
      this.verified.size >= (this.options.maxCached ?? 50_000)
        ? this.verified.keys().next().value
        : undefined;
    if (oldest !== undefined) this.verified.delete(oldest);
    this.verified.set(token, claims);
    return claims;
  }

  private async verifyFresh(token: string): Promise<TokenClaims> {
    try {
      const { payload } = await jwtVerify(token, this.keys, {
        issuer: this.options.issuer,
        audience: this.options.audience,
        algorithms: [...(this.options.algorithms ?? ['ES256'])],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['sub', 'tid', 'exp'],
      });
      const tenantId = payload['tid'];
      const roles = payload['roles'];
      if (typeof tenantId !== 'string' || !TENANT.test(tenantId) || !USER.test(payload.sub ?? '')) {
        throw new ProblemError('unauthenticated', 'The token names no valid tenant and user');
      }
      return {
        tenantId,
        userId: payload.sub ?? '',
        roles: Array.isArray(roles) ? roles.filter((role): role is string => typeof role === 'string') : [],
        expiresAtMs: (payload.exp ?? 0) * 1000,
      };
    } catch (error) {
      throw asProblem(error);
    }
  }
}

/** A token that is wrong is the caller's fault; keys that cannot be fetched are ours, and worth a retry. */
function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  const callersFault =
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey;
  if (callersFault)
    return new ProblemError('unauthenticated', `The token is not valid: ${error.code}`, { cause: error });
  return new ProblemError('unavailable', 'The identity service’s keys cannot be read', {
    cause: error,
    headers: { 'retry-after': '1' },
  });
}
