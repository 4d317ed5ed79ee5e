import type { Caller } from '../access/caller.ts';

/** What one request told about its device; `undefined` leaves what was told before. */
export interface Sighting {
  /** Device time minus server time, ms; a push measures it best (`sentAt`). */
  readonly clockOffsetMs?: number;
  /** The device's own count of unpushed work, as in pull, push and ack. */
  readonly backlog?: { readonly pending: number; readonly oldestAt?: string | null } | undefined;
}

/** Collects what requests tell about devices; what is collected leaves as one sync event every few seconds. */
export interface RecordDeviceSeen {
  record(caller: Caller, sighting: Sighting): void;
}
