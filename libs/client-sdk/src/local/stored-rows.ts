/** Rows as commits take them. */
import type { DeviceIdentity } from '../net/transport.ts';
import { type OutboxEntry, outboxKey } from '../outbox/entry.ts';
import { type ScopeRow, scopeKey } from '../replica/rows.ts';
import type { StoredValue } from '../storage/store.ts';

/** The key in table `meta` of whose store it is. */
export const DEVICE = 'device';

/** Two devices in one store would count under each other's names. */
export function isSame(stored: StoredValue, identity: DeviceIdentity): boolean {
  return Object.entries(deviceRow(identity)).every(([name, value]) => stored[name] === value);
}

function deviceRow({ tenantId, userId, deviceId }: DeviceIdentity): StoredValue {
  return { tenantId, userId, deviceId };
}

/** @param isRevoked the device may store nothing until the server has taken it again */
export function devicePut(identity: DeviceIdentity, isRevoked = false) {
  const value = { ...deviceRow(identity), ...(isRevoked ? { isRevoked } : {}) };
  return { table: 'meta', key: DEVICE, value } as const;
}

export function scopePut(row: ScopeRow) {
  return { table: 'scope', key: scopeKey(row.scope), value: { ...row } } as const;
}

export function entryPut(entry: OutboxEntry) {
  return { ...entryAddress(entry), value: { ...entry } } as const;
}

export function entryAddress({ mutation }: OutboxEntry) {
  return { table: 'outbox', key: outboxKey(mutation.sequence) } as const;
}
