import { BODY_LIMITS, type BodyLimits } from '@sync/protocol';

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
