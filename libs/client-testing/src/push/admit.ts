import { checkOp, planUpcast } from '@sync/domain';
import { CONFLICT_ENTITY_TYPE, OUTCOME_CODES } from '@sync/protocol';
import type { KnownType } from '../server/entity-types.ts';
import { hexOfBase64, tagOf } from '../server/hashes.ts';
import type { Tenant } from '../server/tenant.ts';
import type { Element, Refusal, Work } from './work.ts';

/** Whether a mutation may go to its owner at all, in the order in which a developer would want to be told. */
export function admit(tenant: Tenant, { mutation, userId }: Work): Refusal | null {
  const { entityType, op, schemaVersion, scope, tag } = mutation;
  const type = tenant.world.types.get(entityType);
  if (!type) return refusal('entity_type_unknown', '/entityType', `no service registered "${entityType}"`);
  if (entityType === CONFLICT_ENTITY_TYPE)
    return refusal('forbidden', '/entityType', 'a ConflictRecord changes only through resolve-conflict');
  if (!tenant.holds(userId, scope))
    return refusal('scope_not_held', '/scope', `the user does not hold "${scope}"`);
  const wrongOp = checkOp(type.policy, op);
  if (wrongOp) return refusal(wrongOp, '/op', `${type.policy} does not know ${op}`);
  if (type.requiresTags && tag === undefined)
    return refusal('tag_missing', '/tag', `${entityType} asks for a tag by the device`);
  if (schemaVersion === undefined || isReadable(type, schemaVersion)) return null;
  const wanted = `${entityType} cannot be read in version ${schemaVersion}; wanted is ${type.schemaVersion}`;
  return refusal('schema_version_unknown', '/schemaVersion', wanted);
}

function isReadable({ schemaVersion, upcasters }: KnownType, sent: number): boolean {
  // Only the versions count here, and these every upcaster has.
  const steps = upcasters.map(({ from }) => ({ from, steps: [] }));
  return sent === schemaVersion || planUpcast(steps, sent, schemaVersion).ok;
}

/** Null where the tag fits, there is none, or the device has no key (PUSH-23). */
export function refuseTag(tenant: Tenant, { raw, work }: Element): Refusal | null {
  const tag = work?.mutation.tag;
  const key = work && tenant.devices.get(work.deviceId)?.key;
  if (!work || tag === undefined || !key) return null;
  const { userId, deviceId } = work;
  const isGood = hexOfBase64(tag) === tagOf(key, { tenantId: tenant.tenantId, userId, deviceId }, raw);
  return isGood ? null : refusal('tag_invalid', '/tag', OUTCOME_CODES.tag_invalid);
}

const refusal = (code: string, path: string, message: string): Refusal => ({
  code,
  message: `${path}: ${message}`,
});
