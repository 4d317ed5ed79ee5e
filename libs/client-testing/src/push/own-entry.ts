import { counterOf, deviceReplica } from '@sync/vector-clock';
import type { Tenant } from '../server/tenant.ts';
import { keyOf } from '../server/scope-log.ts';
import type { Work } from './work.ts';

/** A quarter of an hour (PUSH-8). */
export const PATIENCE_MS = 15 * 60_000;

/**
 * The mutation with its device's own entry as it has to be (PUSH-4, PUSH-18), as `withOwnEntry` of the
 * gateway has it; `missing` when it counts a change of its device that has not come.
 */
export function withOwnEntry(tenant: Tenant, work: Work): Work | 'missing' {
  const { mutation, deviceId } = work;
  const { entityType, entityId, baseClock } = mutation;
  const own = deviceReplica(deviceId);
  const device = tenant.devices.get(deviceId);
  const changes = device?.own(keyOf(entityType, entityId));
  if (!device || !changes) return work;
  const stands = counterOf(tenant.entity(entityType, entityId)?.head.clock ?? {}, own);
  const counts = counterOf(baseClock, own);
  const all = Math.max(stands, changes.answered);
  if (counts > all) return 'missing';
  const isLate = mutation.sequence < changes.sequence && work.push !== changes.push && !work.isRestored;
  const hasForgotten =
    work.isRestored ||
    (changes.forgets >= 0 && changes.forgets <= work.push) ||
    (device.restorations > changes.remembers && !isLate);
  const isForgetful = hasForgotten && stands > 0 && (counts === 0 || work.isRestored || changes.forgets >= 0);
  if (counts >= stands && !isForgetful) return work;
  const counter = (isForgetful ? all : stands) + 1;
  const made = { ...work, counter, clock: { ...baseClock, [own]: counter } };
  if (isForgetful) {
    const { [own]: _forgotten, ...others } = baseClock;
    return { ...made, mutation: { ...mutation, baseClock: others } };
  }
  if (counts > 0 || isLate) {
    if (!isLate) changes.forgets = work.push;
    return made;
  }
  return { ...made, mutation: { ...mutation, baseClock: { ...baseClock, [own]: stands } } };
}

/** Notes that a mutation has ended. */
export function noteEnded(
  tenant: Tenant,
  { mutation, deviceId, push, counter }: Work,
  stands: boolean,
): void {
  const changes = tenant.devices.get(deviceId)?.own(keyOf(mutation.entityType, mutation.entityId));
  if (!changes) return;
  changes.answered = Math.max(changes.answered, counter);
  if (!stands) return;
  changes.sequence = Math.max(changes.sequence, mutation.sequence);
  changes.push = push;
}

/** The device has stored how a change of the entity ended: what it had forgotten it has been told. */
export function noteAcked(tenant: Tenant, { mutation, deviceId, push }: Work): void {
  const device = tenant.devices.get(deviceId);
  const changes = device?.own(keyOf(mutation.entityType, mutation.entityId));
  if (!device || !changes) return;
  changes.remembers = device.restorations;
  if (push >= changes.forgets) changes.forgets = -1;
}
