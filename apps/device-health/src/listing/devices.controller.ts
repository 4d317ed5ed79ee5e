import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { shorten } from '@sync/domain';
import { RemoteError } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { type DeviceHealth, type DevicesReply, DevicesRequest, subjects, validator } from '@sync/protocol';
import { readDevices } from '../assessment/device-store.ts';
import { type StoredDevice, assess } from '../assessment/observation.ts';
import { DATABASE } from '../tokens.ts';

const checkRequest = validator(DevicesRequest);

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
    const { tenantId, deviceId, userId, status, cursor, limit } = request.value;
    const found = await this.database.inTenant(tenantId, (tx) =>
      readDevices(tx, tenantId, {
        afterDeviceId: cursor,
        deviceId: deviceId ?? null,
        userId: userId ?? null,
        status: status ?? null,
        limit: limit + 1,
      }),
    );
    const page = found.slice(0, limit);
    const nowMs = Date.now();
    return {
      devices: page.map((device) => describe(device, nowMs, deviceId !== undefined)),
      next: found.length > limit ? (page.at(-1)?.deviceId ?? null) : null,
    };
  }
}

function describe(device: StoredDevice, nowMs: number, withScopes: boolean): DeviceHealth {
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
    ...(withScopes ? { scopes: device.scopes.map((scope) => describeScope(scope, nowMs)) } : {}),
  };
}

function describeScope(
  { scope, ackedSequence, headSequence, behindSinceMs }: StoredDevice['scopes'][number],
  nowMs: number,
): NonNullable<DeviceHealth['scopes']>[number] {
  const stalenessMs = behindSinceMs === null ? 0 : Math.max(0, Math.round(nowMs - behindSinceMs));
  return { scope, ackedSequence, headSequence, stalenessMs };
}

function isoOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}
