import { SignJWT } from 'jose';
import type { SigningKey } from '../keys/signing-key.ts';

export const ISSUER = 'https://identity.sync.local';
export const AUDIENCE = 'sync-service';
export const DEFAULT_LIFETIME_SECONDS = 3_600;

export interface AccessToken {
  readonly accessToken: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/**
 * Signs an access token: ES256, `sub` the user, `tid` the tenant.
 * @param options `expiresInSeconds` may be negative, for tests of expired tokens
 */
export async function issueAccessToken(
  key: SigningKey,
  holder: { readonly tenantId: string; readonly userId: string },
  options: { readonly roles?: readonly string[]; readonly expiresInSeconds?: number } = {},
): Promise<AccessToken> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const expiresSeconds = nowSeconds + (options.expiresInSeconds ?? DEFAULT_LIFETIME_SECONDS);
  const accessToken = await new SignJWT({
    tid: holder.tenantId,
    ...(options.roles && { roles: [...options.roles] }),
  })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'JWT' })
    .setSubject(holder.userId)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(expiresSeconds)
    .sign(key.privateKey);
  return { accessToken, expiresAt: new Date(expiresSeconds * 1000).toISOString() };
}
