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

/** A device whose key was changed. */
export interface RotatedDevice extends BoundDevice {
  /** Requests that are signed with the key before are accepted until then. */
  readonly previousKeyUntil: string;
}

const HMAC_KEY_BYTES = 32;
/** Mutations may wait on a device for so long, with the tags that they got there. */
const EARLIER_KEY_DAYS = 90;
const MOST_EARLIER_KEYS = 8;
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
   * Gives the device a new key. The one before is good for requests for some hours, because a device that never
   * got the answer goes on with it and asks once more. For tags all are good for 90 days.
   * @throws ProblemError `not_found` for a device that never was or is revoked
   */
  async rotateKey(deviceId: string, previousGoodForHours: number): Promise<RotatedDevice> {
    const tenantId = await this.tenantOf(deviceId);
    const hmacKey = randomBytes(HMAC_KEY_BYTES).toString('base64');
    const [rotated] = await this.database.inTenant(tenantId, (tx) =>
      tx.call<{ until: Date }>(
        'rotate_device_key',
        `WITH before AS (
           SELECT hmac_key FROM device
           WHERE tenant_id = $1 AND device_id = $2 AND revoked_at IS NULL FOR UPDATE
         ), earlier AS (
           INSERT INTO earlier_device_key (tenant_id, device_id, hmac_key) SELECT $1, $2, hmac_key FROM before
         )
         UPDATE device SET hmac_key = $3, previous_key_until = now() + make_interval(hours => $4)
         FROM before WHERE tenant_id = $1 AND device_id = $2 RETURNING previous_key_until AS until`,
        [tenantId, deviceId, hmacKey, previousGoodForHours],
      ),
    );
    if (!rotated) throw new ProblemError('not_found', `There is no device ${deviceId}`);
    return { deviceId, hmacKey, previousKeyUntil: rotated.until.toISOString() };
  }

  /**
   * Answers `identity.device-binding.v1.verify`; a device of another user is as unknown as one that never
   * was.
   */
  async verify(request: DeviceBindingRequest): Promise<DeviceBindingReply> {
    const { tenantId, userId, deviceId } = request;
    const [device] = await this.database.inTenant(tenantId, (tx) =>
      tx.call<{ hmac_key: string; revoked: boolean; earlier: string[]; previous_key_until: Date | null }>(
        'verify_device',
        `SELECT hmac_key, revoked_at IS NOT NULL AS revoked, previous_key_until,
           ARRAY(SELECT e.hmac_key FROM earlier_device_key e
             WHERE e.tenant_id = $1 AND e.device_id = $2 AND e.replaced_at > now() - make_interval(days => $4)
             ORDER BY e.replaced_at DESC LIMIT $5) AS earlier
         FROM device WHERE tenant_id = $1 AND device_id = $2 AND user_id = $3`,
        [tenantId, deviceId, userId, EARLIER_KEY_DAYS, MOST_EARLIER_KEYS],
      ),
    );
    if (!device) return { status: 'unbound' };
    const { hmac_key: hmacKey, revoked, earlier, previous_key_until: until } = device;
    // Of a revoked device, too: what it had tagged before is still its own.
    return {
      status: revoked ? 'revoked' : 'bound',
      hmacKey,
      ...(earlier.length > 0 && { earlierKeys: earlier }),
      ...(until && { previousKeyUntil: until.toISOString() }),
    };
  }

  /**
   * Revokes for good and tells every gateway. Idempotent: a repetition tells again, so a caller who got an
   * error just repeats.
   *
   * @throws ProblemError `not_found` for a device that never was, `unavailable` when the notice could not be
   * sent
   */
  async revoke(deviceId: string): Promise<void> {
    const tenantId = await this.tenantOf(deviceId);
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

  private async tenantOf(deviceId: string): Promise<string> {
    const [found] = await this.database.call<{ tenant_id: string }>(
      'find_device_tenant',
      'SELECT tenant_id FROM device_tenant WHERE device_id = $1',
      [deviceId],
    );
    if (!found) throw new ProblemError('not_found', `There is no device ${deviceId}`);
    return found.tenant_id;
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
