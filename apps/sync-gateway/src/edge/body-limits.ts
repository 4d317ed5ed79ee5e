import { BODY_LIMITS, type BodyLimits } from '@sync/protocol';
import type { FastifyRequest } from 'fastify';

/** Whatever carries entities, or their types. */
const WITH_ENTITIES: ReadonlySet<string> = new Set([
  '/sync/v1/push',
  '/sync/v1/resolve-conflict',
  '/admin/v1/registrations/:service',
]);

/** @param route as Fastify names it */
export function bodyLimitsOf(route: string): BodyLimits {
  if (WITH_ENTITIES.has(route)) return BODY_LIMITS.entities;
  return route === '/sync/v1/pull' ? BODY_LIMITS.pull : BODY_LIMITS.other;
}

/**
 * How many bytes a request says that its body has: 0 where it says nothing, and at most what its route takes,
 * because the rest is never read.
 */
export function announcedBytes({ headers, routeOptions }: FastifyRequest): number {
  const announced = Number(headers['content-length'] ?? 0);
  return Math.min(announced, bodyLimitsOf(routeOptions.url ?? '').sentBytes);
}
