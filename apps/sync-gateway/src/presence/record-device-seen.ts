import type { DeviceKey } from '../access/device-bindings.ts';

/** What one request told about its device; `undefined` leaves what was told before. */
export interface Sighting {
  /** Device time minus server time, ms; a push measures it best (`sentAt`). */
  readonly clockOffsetMs?: number;
  /** The device's own count of unpushed work, as in pull, push and ack. */
  readonly backlog?: { readonly pending: number; readonly oldestAt?: string | null } | undefined;
}

/** Collects what requests tell about devices; what is collected leaves as sync events every few seconds. */
export interface RecordDeviceSeen {
  record(device: DeviceKey, sighting: Sighting): void;
}

export const RECORD_DEVICE_SEEN = Symbol('RecordDeviceSeen');
