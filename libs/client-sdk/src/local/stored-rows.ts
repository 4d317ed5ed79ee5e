/** Rows as commits take them. */
import type { DeviceIdentity } from '../net/transport.ts';
import { type OutboxEntry, outboxKey } from '../outbox/entry.ts';
import { type ScopeRow, scopeKey } from '../replica/rows.ts';
import { StorageError, type StoredValue } from '../storage/store.ts';

/** The key in table `meta` of whose store it is. */
export const DEVICE = 'device';

/**
 * Of the rows of a device, in its row of table `meta`: another one for each change after which they cannot be
 * read as before. Who lifts a store makes another one of it, so that every open tab reads this again.
 */
const FORMAT = 1;

/**
 * The counter of what could not be read any more: see {@link LocalState.lostWrites}. With the key of a write
 * behind it, it is 1 where that one is counted.
 */
export const LOST = 'lost';

/** @throws StorageError `outdated` for rows of a newer version of the app, `damaged` for those of none */
export function assertFormat({ format }: StoredValue): void {
  if (format === FORMAT) return;
  const isNewer = typeof format === 'number' && format > FORMAT;
  const told = `rows of format ${String(format)}; known is ${FORMAT}`;
  throw new StorageError(isNewer ? 'outdated' : 'damaged', told);
}

/** Two devices in one store would count under each other's names. */
export function isSame(stored: StoredValue, identity: DeviceIdentity): boolean {
  return Object.entries(deviceRow(identity)).every(([name, value]) => stored[name] === value);
}

function deviceRow({ tenantId, userId, deviceId }: DeviceIdentity): StoredValue {
  return { tenantId, userId, deviceId };
}

/** Whether the server says that the device was revoked, and how often it has said so. */
export interface Revocation {
  /** It may store nothing until the server has taken it again. */
  readonly isRevoked: boolean;
  /** What a tab has in memory from before the last time may not be stored again. */
  readonly times: number;
}

export function devicePut(identity: DeviceIdentity, { isRevoked, times }: Revocation) {
  const value = { ...deviceRow(identity), format: FORMAT, isRevoked, timesRevoked: times };
  return { table: 'meta', key: DEVICE, value } as const;
}

export function revocationOf(device: StoredValue | undefined): Revocation {
  return { isRevoked: device?.['isRevoked'] === true, times: Number(device?.['timesRevoked'] ?? 0) };
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
