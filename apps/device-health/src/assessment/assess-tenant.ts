import { createHash } from 'node:crypto';
import { appendToOutbox, eventMessages, syncEvent } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { STREAMS, type SyncEvent } from '@sync/protocol';
import { NO_SCOPES, type StatusChange, readDevices, saveStatuses } from './device-store.ts';
import { type StoredDevice, assess } from './observation.ts';

const PAGE = 500;
/** Statuses somebody should look at; entering and leaving this group is an event. */
const ALARMING = new Set(['stale', 'at_risk']);

/**
 * Judges every device of a tenant again and announces those that became stale or recovered; statuses and
 * events commit together.
 * @returns how many devices there are per status
 */
export async function assessTenant(
  database: Database,
  tenantId: string,
  nowMs: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let afterDeviceId: string | null = null;
  do {
    const page: readonly StoredDevice[] = await database.inTenant(tenantId, (tx) =>
      assessPage(tx, tenantId, afterDeviceId, nowMs, counts),
    );
    afterDeviceId = page.length === PAGE ? (page.at(-1)?.deviceId ?? null) : null;
  } while (afterDeviceId !== null);
  return counts;
}

async function assessPage(
  tx: Tx,
  tenantId: string,
  afterDeviceId: string | null,
  nowMs: number,
  counts: Map<string, number>,
): Promise<readonly StoredDevice[]> {
  const devices = await readDevices(tx, tenantId, {
    afterDeviceId,
    deviceId: null,
    userId: null,
    status: null,
    limit: PAGE,
    scopes: NO_SCOPES,
  });
  const changes: (StatusChange & { device: StoredDevice })[] = [];
  for (const device of devices) {
    const { status, reasons } = assess(device, nowMs);
    counts.set(status, (counts.get(status) ?? 0) + 1);
    if (status === device.status) continue;
    changes.push({
      deviceId: device.deviceId,
      userId: device.userId,
      status,
      reasons: reasons.map(({ detail }) => detail),
      device,
    });
  }
  if (changes.length > 0) {
    await saveStatuses(
      tx,
      tenantId,
      changes.map(({ deviceId, userId, status, reasons }) => ({ deviceId, userId, status, reasons })),
    );
    await announce(tx, tenantId, changes, nowMs);
  }
  return devices;
}

async function announce(
  tx: Tx,
  tenantId: string,
  changes: readonly (StatusChange & { device: StoredDevice })[],
  nowMs: number,
): Promise<void> {
  const events = changes.flatMap((change) => eventOf(tenantId, change, nowMs));
  const ordered = events.map((event) => {
    return { orderKey: `${tenantId}\0${event.deviceid ?? ''}`, text: JSON.stringify(event) };
  });
  await appendToOutbox(tx, eventMessages(STREAMS.SYNC_EVENTS, ordered));
}

function eventOf(
  tenantId: string,
  { device: { deviceId, userId, status: before }, status, reasons }: StatusChange & { device: StoredDevice },
  nowMs: number,
): SyncEvent[] {
  const is = ALARMING.has(status);
  if (ALARMING.has(before) === is || status === 'revoked') return [];
  const timeIso = new Date(nowMs).toISOString();
  const type = is ? 'sync.device.stale.v1' : 'sync.device.recovered.v1';
  const id = createHash('sha256')
    .update(`${type} ${tenantId} ${deviceId} ${timeIso}`)
    .digest('hex')
    .slice(0, 32);
  const teller = { source: 'device-health', tenantId, userId, deviceId, timeIso, id } as const;
  return [syncEvent(type, is ? { reasons } : { status }, teller)];
}
