import { withOwnEntry } from '@sync/domain';
import { counterOf, deviceReplica } from '@sync/vector-clock';
import type { Tenant } from '../server/tenant.ts';
import { keyOf } from '../server/scope-log.ts';
import type { Element, Work } from './work.ts';

/** A quarter of an hour (PUSH-8). */
export const PATIENCE_MS = 15 * 60_000;

/** The work with its device's own entry as it has to be, or `missing`: see `withOwnEntry` of the domain. */
export function countOwn(tenant: Tenant, work: Work): Work | 'missing' {
  const { mutation, deviceId, push, counter, clock } = work;
  const { entityType, entityId, baseClock, sequence } = mutation;
  const device = tenant.devices.get(deviceId);
  const changes = device?.own(keyOf(entityType, entityId));
  if (!device || !changes) return work;
  const own = deviceReplica(deviceId);
  const stands = counterOf(tenant.entity(entityType, entityId)?.head.clock ?? {}, own);
  const forgetsNow = changes.forgetsIn === push;
  const isLate = changes.lastIn >= device.restoredIn && changes.lastIn < push && sequence < changes.sequence;
  const sent = { baseClock, counter, clock };
  const made = withOwnEntry(sent, deviceId, {
    ...{ stands, isLate, answered: changes.answered, isRecent: false },
    mayForget: forgetsNow || (device.restoredIn > 0 && device.restoredIn < push),
    forgotten: forgetsNow || (device.restoredIn > 0 && changes.heardIn < device.restoredIn),
  });
  if (made === sent) return work;
  // Everything is known here.
  if (made === 'missing' || made === 'ask') return 'missing';
  // What comes late has not forgotten what was made after it, and says nothing of what comes next.
  if (!isLate && counterOf(baseClock, own) > 0 && counterOf(made.baseClock, own) > 0)
    changes.forgetsIn = push;
  const counted = { ...mutation, baseClock: made.baseClock };
  return { ...work, counter: made.counter, clock: made.clock, mutation: counted };
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

/** A mutation that was refused before it was looked at counts as a change of its device all the same. */
export function noteRefused(
  { devices }: Tenant,
  deviceId: string,
  { address, counter }: Pick<Element, 'address' | 'counter'>,
): void {
  const changes = address && devices.get(deviceId)?.own(keyOf(address.entityType, address.entityId));
  if (changes && counter !== null) changes.answered = Math.max(changes.answered, counter);
}

/** The device has stored how a change of the entity ended that met what stood. */
export function noteAcked(tenant: Tenant, { mutation, deviceId, push }: Work): void {
  const changes = tenant.devices.get(deviceId)?.own(keyOf(mutation.entityType, mutation.entityId));
  if (changes) changes.heardIn = Math.max(changes.heardIn, push);
}
