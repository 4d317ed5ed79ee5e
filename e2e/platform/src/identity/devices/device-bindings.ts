import { randomBytes, randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Database, Tx } from '@sync/postgres';
import {
  type DeviceBindingReply,
  type DeviceBindingRequest,
  type DeviceRevokedNotice,
  subjects,
} from '@sync/protocol';
import { type KeySeal, type Logger, ProblemError, SealError, type SecretOwner } from '@sync/service-kit';

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
  private readonly keys: KeySeal;
  private readonly logger: Logger;

  constructor(database: Database, nats: NatsConnection, keys: KeySeal, logger: Logger) {
    this.database = database;
    this.nats = nats;
    this.keys = keys;
    this.logger = logger;
  }

  /** Makes a device of this user, with a key of its own. */
  async bind(tenantId: string, userId: string): Promise<BoundDevice> {
    const device = { deviceId: randomUUID(), hmacKey: randomBytes(HMAC_KEY_BYTES).toString('base64') };
    const { deviceId, hmacKey } = device;
    await this.database.inTenant(tenantId, async (tx) =>
      tx.call(
        'bind_device',
        `WITH found AS (INSERT INTO device_tenant (device_id, tenant_id) VALUES ($2, $1))
         INSERT INTO device (tenant_id, device_id, user_id, hmac_key) VALUES ($1, $2, $3, $4)`,
        [tenantId, deviceId, userId, await this.seal(tx, { tenantId, userId, deviceId }, hmacKey)],
      ),
    );
    return device;
  }

  /**
   * Gives the device a new key. The one before is good for requests for some hours, because a device that
   * never got the answer goes on with it and asks once more. For tags all are good for 90 days.
   * @throws ProblemError `not_found` for a device that never was or is revoked
   */
  async rotateKey(deviceId: string, previousGoodForHours: number): Promise<RotatedDevice> {
    const tenantId = await this.tenantOf(deviceId);
    const hmacKey = randomBytes(HMAC_KEY_BYTES).toString('base64');
    const [rotated] = await this.database.inTenant(tenantId, async (tx) => {
      const [before] = await tx.call<{ user_id: string; hmac_key: string }>(
        'lock_device',
        `SELECT user_id, hmac_key FROM device
         WHERE tenant_id = $1 AND device_id = $2 AND revoked_at IS NULL FOR UPDATE`,
        [tenantId, deviceId],
      );
      if (!before) return [];
      const device = { tenantId, userId: before.user_id, deviceId };
      // Sealed anew: the data key that it has may be forgotten before this transaction can be seen.
      const earlier = await this.open(device, before.hmac_key);
      return tx.call<{ until: Date }>(
        'rotate_device_key',
        `WITH earlier AS (
           INSERT INTO earlier_device_key (tenant_id, device_id, hmac_key)
           SELECT $1, $2, $5 WHERE $5::text IS NOT NULL
         )
         UPDATE device SET hmac_key = $3, previous_key_until = now() + make_interval(hours => $4)
         WHERE tenant_id = $1 AND device_id = $2 RETURNING previous_key_until AS until`,
        [
          ...[tenantId, deviceId, await this.seal(tx, device, hmacKey), previousGoodForHours],
          earlier === null ? null : await this.seal(tx, device, earlier),
        ],
      );
    });
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
    const { revoked, earlier, previous_key_until: until } = device;
    const opened = await Promise.all(
      [device.hmac_key, ...earlier].map((stored) => this.open(request, stored)),
    );
    const [hmacKey = null] = opened;
    // Nobody can prove that he is this device. Its requests are refused, and those of others go on.
    if (hmacKey === null) return { status: 'unbound' };
    const earlierKeys = opened.slice(1).filter((key) => key !== null);
    // Of a revoked device, too: what it had tagged before is still its own.
    return {
      status: revoked ? 'revoked' : 'bound',
      hmacKey,
      ...(earlierKeys.length > 0 && { earlierKeys }),
      ...(until && opened[1] !== null && { previousKeyUntil: until.toISOString() }),
    };
  }

  private seal(tx: Tx, device: DeviceBindingRequest, hmacKey: string): Promise<string> {
    return this.keys.seal(tx, ownerOf(device), hmacKey);
  }

  /** null for a key that was sealed for another device, or was changed. */
  private async open(device: DeviceBindingRequest, stored: string): Promise<string | null> {
    try {
      return await this.keys.open(ownerOf(device), stored);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      const { tenantId, deviceId } = device;
      const fields = { event: 'key_unreadable', tenantId, deviceId, reason: error.message };
      this.logger.error(fields, 'the key of a device does not open');
      return null;
    }
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

/** None of its keys opens in the row of another device, user or tenant. */
function ownerOf({ tenantId, userId, deviceId }: DeviceBindingRequest): SecretOwner {
  return ['device-key', tenantId, userId, deviceId];
}
