import { ProblemError, type TokenClaims, type TokenVerifier } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';

const ADMIN_ROLE = 'sync-admin';

/**
 * Administrators come with an access token of their tenant and the role `sync-admin`; they have no device and
 * sign nothing.
 * @throws ProblemError `unauthenticated` or `forbidden`
 */
export async function authenticateAdmin(
  tokens: TokenVerifier,
  request: FastifyRequest,
): Promise<TokenClaims> {
  const claims = await tokens.verify(request.headers.authorization);
  if (!claims.roles.includes(ADMIN_ROLE)) {
    throw new ProblemError('forbidden', `The token lacks the role ${ADMIN_ROLE}`);
  }
  return claims;
}
