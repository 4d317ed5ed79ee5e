import type { SyncEvent, SyncEventData } from '@sync/protocol';

export interface DeviceRow {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly userId: string;
  readonly lastSeenAt: string | null;
  readonly connected: boolean | null;
  readonly clockOffsetMs: number | null;
  readonly pending: number | null;
  readonly oldestPendingAt: string | null;
  readonly revokedAt: string | null;
}

export interface CursorRow {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly scope: string;
  readonly epoch: string;
  readonly sequence: string;
  readonly ackedAt: string;
}

export interface IncidentRow {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly eventId: string;
  readonly kind: 'full_resync' | 'digest_mismatch';
  readonly at: string;
}

/** How a scope moved within a minute: how far it had come by its first change there, and by its last one. */
export interface ScopeRow {
  readonly tenantId: string;
  readonly scope: string;
  readonly epoch: string;
  readonly sequence: string;
  readonly minute: string;
  readonly firstSequence: string;
  readonly firstAt: string;
  readonly lastAt: string;
}

export interface RevokedRow {
  readonly tenantId: string;
  readonly userId: string;
  readonly scope: string;
  readonly owed: boolean;
}

/** What sync events say, the latest word per device, cursor and scope minute. */
export interface Observations {
  readonly tenants: Set<string>;
  readonly devices: Map<string, DeviceRow>;
  readonly cursors: Map<string, CursorRow>;
  readonly purged: { readonly tenantId: string; readonly deviceId: string; readonly scope: string }[];
  /** Scopes taken from a user: each of the user's devices that holds one owes a purge. */
  readonly revoked: RevokedRow[];
  readonly incidents: IncidentRow[];
  readonly scopes: Map<string, ScopeRow>;
}

/**
 * Folds events, in order, into the rows to write; pure. Event types that say nothing about devices are passed
 * over.
 */
export function collectObservations(events: readonly SyncEvent[]): Observations {
  const seen: Observations = {
    tenants: new Set(),
    devices: new Map(),
    cursors: new Map(),
    purged: [],
    revoked: [],
    incidents: [],
    scopes: new Map(),
  };
  for (const event of events) {
    if (collect(seen, event)) seen.tenants.add(event.tenantid);
  }
  return seen;
}

/** @returns whether the event said anything */
function collect(into: Observations, event: SyncEvent): boolean {
  const { tenantid: tenantId, deviceid: deviceId, userid: userId, time } = event;
  switch (event.type) {
    case 'sync.device.seen.v1':
      for (const seen of (event.data as SyncEventData['sync.device.seen.v1']).devices) {
        mergeDevice(into, { ...seen, tenantId, revokedAt: null });
      }
      return true;
    case 'sync.delta.projected.v1':
      noteScope(into, tenantId, event.data as SyncEventData['sync.delta.projected.v1'], time);
      return true;
    case 'sync.scope.revoked.v1':
    case 'sync.scope.granted.v1': {
      if (!userId) return false;
      const { scope } = event.data as SyncEventData['sync.scope.revoked.v1'];
      into.revoked.push({ tenantId, userId, scope, owed: event.type === 'sync.scope.revoked.v1' });
      return true;
    }
    default:
      return deviceId && userId ? collectOfDevice(into, event, deviceId, userId) : false;
  }
}

function collectOfDevice(into: Observations, event: SyncEvent, deviceId: string, userId: string): boolean {
  const { tenantid: tenantId } = event;
  switch (event.type) {
    case 'sync.cursor.advanced.v1': {
      const { cursors, purged } = event.data as SyncEventData['sync.cursor.advanced.v1'];
      for (const cursor of cursors) {
        const row = { ...cursor, tenantId, deviceId, ackedAt: event.time };
        into.cursors.set(`${tenantId} ${deviceId} ${cursor.scope}`, row);
      }
      for (const scope of purged) into.purged.push({ tenantId, deviceId, scope });
      mergeDevice(into, { ...UNKNOWN, tenantId, deviceId, userId, lastSeenAt: event.time });
      return true;
    }
    case 'sync.resync.required.v1': {
      const { reason } = event.data as SyncEventData['sync.resync.required.v1'];
      const kind = reason === 'digest_mismatch' ? 'digest_mismatch' : 'full_resync';
      into.incidents.push({ tenantId, deviceId, eventId: event.id, kind, at: event.time });
      return true;
    }
    case 'sync.device.revoked.v1': {
      const { revokedAt } = event.data as SyncEventData['sync.device.revoked.v1'];
      mergeDevice(into, { ...UNKNOWN, tenantId, deviceId, userId, revokedAt, connected: false });
      return true;
    }
    default:
      return false;
  }
}

const UNKNOWN = {
  lastSeenAt: null,
  connected: null,
  clockOffsetMs: null,
  pending: null,
  oldestPendingAt: null,
  revokedAt: null,
} as const;

/**
 * A later word wins, whichever comes first; what it leaves out stays. A count of pending work and the age of
 * its oldest belong together.
 */
function mergeDevice(into: Observations, given: DeviceRow): void {
  const key = `${given.tenantId} ${given.deviceId}`;
  const known = into.devices.get(key);
  // RFC 3339 in UTC sorts as text.
  const late = (known?.lastSeenAt ?? '') > (given.lastSeenAt ?? '~');
  const [row, before] = late && known ? [known, given] : [given, known];
  into.devices.set(key, {
    tenantId: row.tenantId,
    deviceId: row.deviceId,
    userId: row.userId,
    lastSeenAt: row.lastSeenAt ?? before?.lastSeenAt ?? null,
    connected: row.connected ?? before?.connected ?? null,
    clockOffsetMs: row.clockOffsetMs ?? before?.clockOffsetMs ?? null,
    pending: row.pending ?? before?.pending ?? null,
    oldestPendingAt: row.pending === null ? (before?.oldestPendingAt ?? null) : row.oldestPendingAt,
    revokedAt: row.revokedAt ?? before?.revokedAt ?? null,
  });
}

function noteScope(
  into: Observations,
  tenantId: string,
  data: SyncEventData['sync.delta.projected.v1'],
  time: string,
): void {
  const minute = `${time.slice(0, 16)}:00.000Z`;
  const { scope, epoch, toSequence: sequence } = data;
  const key = `${tenantId} ${scope} ${minute}`;
  const known = into.scopes.get(key);
  const first =
    known?.epoch === epoch
      ? { firstSequence: known.firstSequence, firstAt: known.firstAt }
      : { firstSequence: sequence, firstAt: time };
  into.scopes.set(key, { tenantId, scope, epoch, sequence, minute, ...first, lastAt: time });
}
