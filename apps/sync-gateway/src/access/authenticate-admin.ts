import { ADMIN_OPERATIONS, type AdminRole } from '@sync/protocol';
import { ProblemError, type TokenClaims, type TokenVerifier } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';

/** The roles that may use a route, by `METHOD /path/:param` as Fastify writes it. */
const ROLES_BY_ROUTE: ReadonlyMap<string, readonly AdminRole[]> = new Map(
  ADMIN_OPERATIONS.map(({ method, path, roles }) => [
    `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
    roles,
  ]),
);

/**
 * Those who look after a tenant, or run the platform, come with an access token that has one of the roles
 * that the operation names ({@link ADMIN_OPERATIONS}). They have no device and sign nothing. A route that
 * names no roles is open to nobody.
 *
 * @param platformTenant the tenant in whose tokens the role `sync-operator` counts
 * @throws ProblemError `unauthenticated` or `forbidden`
 */
export async function authenticateAdmin(
  tokens: TokenVerifier,
  request: FastifyRequest,
  platformTenant: string,
): Promise<TokenClaims> {
  const claims = await tokens.verify(request.headers.authorization);
  const needed = rolesOf(request);
  if (needed.some((role) => holds(claims, role, platformTenant))) return claims;
  const named = needed.length === 0 ? 'Nobody may use this route' : `The token needs ${needed.join(' or ')}`;
  const where = needed.includes('sync-operator') ? `; sync-operator counts for ${platformTenant} only` : '';
  throw new ProblemError('forbidden', named + where);
}

function holds(claims: TokenClaims, role: AdminRole, platformTenant: string): boolean {
  if (!claims.roles.includes(role)) return false;
  return role !== 'sync-operator' || claims.tenantId === platformTenant;
}

/** Fastify answers HEAD wherever there is a GET, by the same handler. */
function rolesOf(request: FastifyRequest): readonly AdminRole[] {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  return ROLES_BY_ROUTE.get(`${method} ${request.routeOptions.url ?? ''}`) ?? [];
}
