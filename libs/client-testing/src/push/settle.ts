import { OUTCOME_CODES } from '@sync/protocol';
import type { Tenant, WaitingEntry } from '../server/tenant.ts';
import { admit } from './admit.ts';
import { carryOut, lost, rejected } from './carry-out.ts';
import { PATIENCE_MS, countOwn } from './own-entry.ts';
import { endEntry } from './tell.ts';
import type { Refusal, Work } from './work.ts';

/** Carries out whatever can be, in its order, until nothing more can (PUSH-8). */
export function settleWaiting(tenant: Tenant): void {
  for (let isMoving = tenant.waiting.length > 0; isMoving;) {
    isMoving = false;
    for (const entry of tenant.waiting) {
      if (!entry.ended && tryOne(tenant, entry)) isMoving = true;
    }
  }
  tenant.waiting = tenant.waiting.filter(({ ended }) => ended === null);
}

/** @returns whether it has ended */
function tryOne(tenant: Tenant, entry: WaitingEntry): boolean {
  const { work } = entry;
  const wait = waitOf(tenant, work);
  if (wait === 'waits' || isBehind(tenant, entry)) return false;
  // What it was let in with may have been taken from it while it waited (PUSH-17).
  const refusal = wait ?? admit(tenant, work);
  if (refusal) return refuse(tenant, entry, refusal);
  const counted = countOwn(tenant, work);
  if (counted === 'missing') {
    if (isPatient(tenant, work)) return false;
    const { entityType, entityId, op } = work.mutation;
    if (!tenant.entity(entityType, entityId) && op !== 'put') {
      const message = '/baseClock: it counts changes of this device that never came';
      return refuse(tenant, entry, { code: 'dependency_failed', message });
    }
  }
  const made = counted === 'missing' ? work : counted;
  endEntry(tenant, entry, carryOut(tenant, made), made);
  return true;
}

function refuse(tenant: Tenant, entry: WaitingEntry, refusal: Refusal): true {
  endEntry(tenant, entry, { ...rejected(refusal), ...lost(tenant, entry.work) }, entry.work);
  return true;
}

/** What its dependencies mean for it: null where it may go. */
function waitOf(tenant: Tenant, work: Work): 'waits' | Refusal | null {
  for (const mutationId of work.mutation.dependsOn) {
    const known = tenant.ledger.get(mutationId);
    if (known?.ended && known.ended.status !== 'rejected') continue;
    if (known ? !known.ended : isPatient(tenant, work)) return 'waits';
    return { code: 'dependency_failed', message: `/dependsOn: ${OUTCOME_CODES.dependency_failed}` };
  }
  return null;
}

/** One of the same device and entity that came before waits, and not for this one. */
function isBehind(tenant: Tenant, entry: WaitingEntry): boolean {
  const { mutation, deviceId } = entry.work;
  const { entityType, entityId, mutationId } = mutation;
  for (const other of tenant.waiting) {
    if (other === entry) return false;
    const { work } = other;
    const isMate =
      work.deviceId === deviceId &&
      work.mutation.entityType === entityType &&
      work.mutation.entityId === entityId;
    if (other.ended || !isMate || work.mutation.dependsOn.includes(mutationId)) continue;
    if (waitOf(tenant, work) === 'waits') return true;
  }
  return false;
}

const isPatient = (tenant: Tenant, { receivedAtMs }: Work): boolean =>
  tenant.world.now() - receivedAtMs < PATIENCE_MS;
