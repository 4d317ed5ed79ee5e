import { ADMIN_OPERATIONS, type AdminOperation, type AdminRole } from '@sync/protocol';
import { ProblemError, type TokenClaims, type TokenVerifier } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import { AdminAct } from '../audit/admin-act.ts';

/** By `METHOD /path/:param` as Fastify writes a route. */
const OPERATIONS: ReadonlyMap<string, AdminOperation> = new Map(
  ADMIN_OPERATIONS.map((operation) => [
    `${operation.method.toUpperCase()} ${operation.path.replace(/\{(\w+)\}/g, ':$1')}`,
    operation,
  ]),
);

/**
 * Those who look after a tenant, or run the platform, come with an access token that has one of the roles
 * that the operation names ({@link ADMIN_OPERATIONS}). They have no device and sign nothing. A route that
 * names no roles is open to nobody. From here on the request is an act of somebody: whoever is refused is
 * named in the audit log.
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
  const operation = operationOf(request);
  request.act = new AdminAct(request, claims, operation, platformTenant);
  const needed = operation?.roles ?? [];
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
function operationOf(request: FastifyRequest): AdminOperation | null {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  return OPERATIONS.get(`${method} ${request.routeOptions.url ?? ''}`) ?? null;
}
