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
  const { mutation, deviceId, push } = work;
  const { entityType, entityId, baseClock, sequence } = mutation;
  const device = tenant.devices.get(deviceId);
  const changes = device?.own(keyOf(entityType, entityId));
  if (!device || !changes) return work;
  const own = deviceReplica(deviceId);
  const stands = counterOf(tenant.entity(entityType, entityId)?.head.clock ?? {}, own);
  const counts = counterOf(baseClock, own);
  const all = Math.max(stands, changes.answered);
  if (counts > all) return 'missing';
  const forgetsNow = changes.forgetsIn === push;
  const hasForgotten = forgetsNow || (device.restoredIn > 0 && changes.heardIn < device.restoredIn);
  const countsAnew = forgetsNow || (device.restoredIn > 0 && device.restoredIn < push);
  const isForgetful = hasForgotten && stands > 0 && (counts === 0 || countsAnew);
  if (counts >= stands && !isForgetful) return work;
  const counter = (isForgetful ? all : stands) + 1;
  const made = { ...work, counter, clock: { ...baseClock, [own]: counter } };
  if (isForgetful) {
    const { [own]: _forgotten, ...others } = baseClock;
    return { ...made, mutation: { ...mutation, baseClock: others } };
  }
  const isLate = changes.lastIn >= device.restoredIn && changes.lastIn < push && sequence < changes.sequence;
  if (counts > 0 && !isLate) changes.forgetsIn = push;
  if (counts > 0 || isLate) return made;
  return { ...made, mutation: { ...mutation, baseClock: { ...baseClock, [own]: stands } } };
}

/** Notes that a mutation has ended. @param stands it is in the entity now */
export function noteEnded(
  tenant: Tenant,
  { mutation, deviceId, push, counter }: Work,
  stands: boolean,
): void {
  const device = tenant.devices.get(deviceId);
  const changes = device?.own(keyOf(mutation.entityType, mutation.entityId));
  if (!device || !changes) return;
  changes.answered = Math.max(changes.answered, counter);
  if (!stands) return;
  const isFirst = changes.lastIn < device.restoredIn;
  changes.sequence = isFirst ? mutation.sequence : Math.max(changes.sequence, mutation.sequence);
  changes.lastIn = push;
}

/** The device has stored how a change of the entity ended that met what stood. */
export function noteAcked(tenant: Tenant, { mutation, deviceId, push }: Work): void {
  const changes = tenant.devices.get(deviceId)?.own(keyOf(mutation.entityType, mutation.entityId));
  if (changes) changes.heardIn = Math.max(changes.heardIn, push);
}
