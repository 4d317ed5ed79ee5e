import { readJson } from '@sync/domain';
import { createHash } from 'node:crypto';
import { partitionOf } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { DeviceRevokedNotice, STREAMS, subjects, validator } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { DeviceBindings, DeviceKey } from './device-bindings.ts';

export interface RevocationOptions {
  readonly nats: NatsConnection;
  readonly database: Pick<Database, 'call'>;
  readonly bindings: DeviceBindings;
  readonly logger: Logger;
  readonly onEvents: () => void;
}

export interface RevocationListener {
  /** The device may do nothing any more: end its waits and sockets. */
  revoked(device: DeviceKey): void;
  /** Notices may have been missed: whoever is connected is to be verified again. */
  mayHaveMissed(): void;
}

const validate = validator(DeviceRevokedNotice);

/**
 * Acts on a device's revocation at once: nothing is remembered of its binding, its waits and sockets end, and
 * the revocation is reported. Notices are core NATS, so those of a lost connection are gone; after a
 * reconnect every device is asked about again.
 */
export class FollowRevocations {
  readonly #options: RevocationOptions;
  readonly #listeners: RevocationListener[] = [];
  #subscription: Subscription | undefined;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  listen(listener: RevocationListener): void {
    this.#listeners.push(listener);
  }

  start(): void {
    const { nats, logger } = this.#options;
    this.#subscription = nats.subscribe(subjects.deviceBindingRevoked, {
      callback: (error, message) => {
        if (error === null) this.#receive(message.string());
        else logger.error({ err: error }, 'revocations cannot be received');
      },
    });
    void this.#followConnection();
  }

  stop(): void {
    if (this.#subscription?.isClosed() === false) this.#subscription.unsubscribe();
  }

  /** Also called when a verification answers "revoked": the notice may have been missed. */
  async note(device: DeviceKey, revokedAt: string): Promise<void> {
    for (const listener of this.#listeners) listener.revoked(device);
    const { tenantId, userId, deviceId } = device;
    const partition = partitionOf(`${tenantId}\0${deviceId}`, STREAMS.SYNC_EVENTS.partitions);
    const eventId = createHash('sha256')
      .update(`revoked\0${tenantId}\0${userId}\0${deviceId}`)
      .digest('hex')
      .slice(0, 32);
    try {
      await this.#options.database.call('note_revocation', 'SELECT note_revocation($1, $2, $3, $4, $5, $6)', [
        tenantId,
        userId,
        deviceId,
        revokedAt,
        eventId,
        partition,
      ]);
      this.#options.onEvents();
    } catch (error) {
      // Reported by another replica, or when the device next knocks; its access ends all the same.
      this.#options.logger.warn({ err: error, tenantId, deviceId }, 'a revocation could not be reported');
    }
  }

  #receive(text: string): void {
    const notice = validate(parse(text));
    if (!notice.ok) {
      this.#options.logger.warn(
        { faults: notice.faults },
        'a revocation notice cannot be read; asking everything again',
      );
      this.#missed();
      return;
    }
    const { tenantId, userId, deviceId, revokedAt } = notice.value;
    const device = { tenantId, userId, deviceId };
    this.#options.bindings.forget(device);
    void this.note(device, revokedAt);
  }

  async #followConnection(): Promise<void> {
    for await (const status of this.#options.nats.status()) {
      if (status.type === 'reconnect') this.#missed();
    }
  }

  #missed(): void {
    this.#options.bindings.doubtAll();
    for (const listener of this.#listeners) listener.mayHaveMissed();
  }
}

function parse(text: string): unknown {
  try {
    return readJson(text);
  } catch {
    return null;
  }
}
