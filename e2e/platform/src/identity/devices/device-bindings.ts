import { randomBytes, randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import {
  type DeviceBindingReply,
  type DeviceBindingRequest,
  type DeviceRevokedNotice,
  subjects,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';

export interface BoundDevice {
  readonly deviceId: string;
  /** Base64 of 32 random bytes. */
  readonly hmacKey: string;
}

const HMAC_KEY_BYTES = 32;
const NOTICE_TIMEOUT_MS = 2_000;

/** Which device belongs to which user, and with which key it signs. */
export class DeviceBindings {
  private readonly database: Database;
  private readonly nats: NatsConnection;

  constructor(database: Database, nats: NatsConnection) {
    this.database = database;
    this.nats = nats;
  }

  /** Makes a device of this user, with a key of its own. */
  async bind(tenantId: string, userId: string): Promise<BoundDevice> {
    const device = { deviceId: randomUUID(), hmacKey: randomBytes(HMAC_KEY_BYTES).toString('base64') };
    await this.database.inTenant(tenantId, (tx) =>
      tx.call(
        'bind_device',
        `WITH found AS (INSERT INTO device_tenant (device_id, tenant_id) VALUES ($2, $1))
         INSERT INTO device (tenant_id, device_id, user_id, hmac_key) VALUES ($1, $2, $3, $4)`,
        [tenantId, device.deviceId, userId, device.hmacKey],
      ),
    );
    return device;
  }

  /**
   * Answers `identity.device-binding.v1.verify`; a device of another user is as unknown as one that never
   * was.
   */
  async verify(request: DeviceBindingRequest): Promise<DeviceBindingReply> {
    const { tenantId, userId, deviceId } = request;
    const [device] = await this.database.inTenant(tenantId, (tx) =>
      tx.call<{ hmac_key: string; revoked: boolean }>(
        'verify_device',
        `SELECT hmac_key, revoked_at IS NOT NULL AS revoked FROM device
         WHERE tenant_id = $1 AND device_id = $2 AND user_id = $3`,
        [tenantId, deviceId, userId],
      ),
    );
    if (!device) return { status: 'unbound' };
    // Of a revoked device, too: what it had tagged before is still its own.
    return { status: device.revoked ? 'revoked' : 'bound', hmacKey: device.hmac_key };
  }

  /**
   * Revokes for good and tells every gateway. Idempotent: a repetition tells again, so a caller who got an
   * error just repeats.
   *
   * @throws ProblemError `not_found` for a device that never was, `unavailable` when the notice could not be
   * sent
   */
  async revoke(deviceId: string): Promise<void> {
    const [found] = await this.database.call<{ tenant_id: string }>(
      'find_device_tenant',
      'SELECT tenant_id FROM device_tenant WHERE device_id = $1',
      [deviceId],
    );
    if (!found) throw new ProblemError('not_found', `There is no device ${deviceId}`);
    const tenantId = found.tenant_id;
    const [revoked] = await this.database.inTenant(tenantId, (tx) =>
      tx.call<{ user_id: string; revoked_at: Date }>(
        'revoke_device',
        `UPDATE device SET revoked_at = coalesce(revoked_at, now())
         WHERE tenant_id = $1 AND device_id = $2 RETURNING user_id, revoked_at`,
        [tenantId, deviceId],
      ),
    );
    if (!revoked) throw new ProblemError('not_found', `There is no device ${deviceId}`);
    const revokedAt = revoked.revoked_at.toISOString();
    await this.tell({ tenantId, userId: revoked.user_id, deviceId, revokedAt });
  }

  /** `flush` returns when the server has the notice; while the connection is down it would wait for ever. */
  private async tell(notice: DeviceRevokedNotice): Promise<void> {
    this.nats.publish(subjects.deviceBindingRevoked, JSON.stringify(notice));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new ProblemError('unavailable', 'The device is revoked; its notice is not sent yet, repeat'));
      }, NOTICE_TIMEOUT_MS);
    });
    await Promise.race([this.nats.flush(), late]).finally(() => clearTimeout(timer));
  }
}
