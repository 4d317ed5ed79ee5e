import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { shorten } from '@sync/domain';
import { firstThatFit, RemoteError } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import {
  ADMIN_PAGE_SIZE,
  type DeviceHealth,
  type DevicesReply,
  DevicesRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { NO_SCOPES, readDevices } from '../assessment/device-store.ts';
import { type StoredDevice, type StoredScope, assess } from '../assessment/observation.ts';
import { DATABASE } from '../tokens.ts';

const checkRequest = validator(DevicesRequest);
/** Of one reply, well below the bound of a message. */
const MAX_PAGE_BYTES = 600 * 1024;

/** Answers the admin API's question after devices: a page by device id, or one device with its scopes. */
@Controller()
export class DevicesController {
  private readonly database: Database;

  constructor(@Inject(DATABASE) database: Database) {
    this.database = database;
  }

  @MessagePattern(subjects.deviceHealth)
  async devices(@Payload() body: unknown): Promise<DevicesReply> {
    const request = checkRequest(body);
    if (!request.ok) {
      const [fault] = request.faults;
      throw new RemoteError('schema_invalid', `${fault?.path ?? ''} ${fault?.message ?? ''}`.trim());
    }
    const { tenantId, deviceId } = request.value;
    const nowMs = Date.now();
    return this.database.inTenant(tenantId, (tx) =>
      deviceId === undefined
        ? listDevices(tx, request.value, nowMs)
        : showDevice(tx, { ...request.value, deviceId }, nowMs),
    );
  }
}

async function listDevices(tx: Tx, request: DevicesRequest, nowMs: number): Promise<DevicesReply> {
  const { tenantId, userId, status, cursor, limit } = request;
  const found = await readDevices(tx, tenantId, {
    afterDeviceId: cursor,
    deviceId: null,
    userId: userId ?? null,
    status: status ?? null,
    limit: limit + 1,
    scopes: NO_SCOPES,
  });
  const devices = firstThatFit(
    found.slice(0, limit).map((device) => describe(device, nowMs)),
    MAX_PAGE_BYTES,
  );
  return { devices, next: found.length > devices.length ? (devices.at(-1)?.deviceId ?? null) : null };
}

async function showDevice(
  tx: Tx,
  { tenantId, deviceId, cursor }: DevicesRequest & { readonly deviceId: string },
  nowMs: number,
): Promise<DevicesReply> {
  const filter = { afterDeviceId: null, deviceId, userId: null, status: null, limit: 1 };
  const page = { after: cursor, limit: ADMIN_PAGE_SIZE + 1 };
  const [device] = await readDevices(tx, tenantId, { ...filter, scopes: page });
  if (!device) return { devices: [], next: null };
  const scopes = device.scopePage.slice(0, ADMIN_PAGE_SIZE).map((scope) => describeScope(scope, nowMs));
  const next = device.scopePage.length > scopes.length ? (scopes.at(-1)?.scope ?? null) : null;
  return { devices: [{ ...describe(device, nowMs), scopes }], next };
}

function describe(device: StoredDevice, nowMs: number): DeviceHealth {
  const { status, reasons } = assess(device, nowMs);
  return {
    deviceId: device.deviceId,
    userId: device.userId,
    status,
    reasons: reasons.map(({ code, detail }) => shorten(`${code}: ${detail}`, 200)),
    lastSeenAt: isoOf(device.lastSeenAtMs),
    connected: device.connected,
    pending: device.pending,
    oldestPendingAt: isoOf(device.oldestPendingAtMs),
    clockOffsetMs: device.clockOffsetMs,
    fullResyncs: device.fullResyncs,
    lastFullResyncAt: isoOf(device.lastFullResyncAtMs),
    updatedAt: new Date(device.updatedAtMs).toISOString(),
  };
}

function describeScope(
  { scope, ackedSequence, headSequence, behindSinceMs }: StoredScope,
  nowMs: number,
): NonNullable<DeviceHealth['scopes']>[number] {
  const stalenessMs = behindSinceMs === null ? 0 : Math.max(0, Math.round(nowMs - behindSinceMs));
  return { scope, ackedSequence, headSequence, stalenessMs };
}

function isoOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}
