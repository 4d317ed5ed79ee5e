import {
  appendToOutbox,
  eventMessages,
  groupsThatFit,
  type OutboxRow,
  partitionOf,
  RepeatedWork,
  syncEvent,
} from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { type DeviceSeen, STREAMS } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { type DeviceKey, deviceKeyText } from '../access/device-bindings.ts';
import type { RecordDeviceSeen, Sighting } from './record-device-seen.ts';

export interface CollectOptions {
  readonly database: Pick<Database, 'transaction'>;
  readonly logger: Logger;
  /** Whether a device holds a live socket or a waiting pull. */
  readonly isConnected: (device: DeviceKey) => boolean;
  readonly onEvents: () => void;
}

const FLUSH_MS = 5_000;
/** Devices between two flushes; beyond it a device is simply reported with its next request. */
const MAX_DEVICES = 50_000;
/** Of a device in an event, as it usually is. */
const DEVICE_BYTES = 250;
const EVENT_ROOM = { bytes: 1_000 * DEVICE_BYTES } as const;

/**
 * What this replica saw of devices, kept in memory and written every five seconds as one outbox row per
 * partition: seeing a device must not cost a write per request, least of all an empty pull. A crash loses
 * five seconds of sightings, which the next requests repeat.
 */
export class CollectDeviceSeen implements RecordDeviceSeen {
  readonly #options: CollectOptions;
  #seen = new Map<string, DeviceSeen>();
  readonly #flushes = new RepeatedWork(() => this.flush().then(() => FLUSH_MS), FLUSH_MS);

  constructor(options: CollectOptions) {
    this.#options = options;
  }

  start(): void {
    this.#flushes.start();
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    await this.#flushes.stop();
    await this.flush();
  }

  record(device: DeviceKey, { clockOffsetMs, backlog }: Sighting): void {
    const key = deviceKeyText(device);
    const before = this.#seen.get(key);
    if (!before && this.#seen.size >= MAX_DEVICES) return;
    this.#seen.set(key, {
      tenantId: device.tenantId,
      userId: device.userId,
      deviceId: device.deviceId,
      lastSeenAt: new Date().toISOString(),
      connected: false,
      clockOffsetMs: clockOffsetMs ?? before?.clockOffsetMs ?? null,
      pending: backlog?.pending ?? before?.pending ?? null,
      oldestPendingAt: backlog ? (backlog.oldestAt ?? null) : (before?.oldestPendingAt ?? null),
    });
  }

  /**
   * One transaction; what could not be written is reported with the next flush unless it was seen again
   * meanwhile.
   */
  async flush(): Promise<void> {
    if (this.#seen.size === 0) return;
    const seen = this.#seen;
    this.#seen = new Map();
    try {
      const devices = [...seen.values()].map((each) => ({
        ...each,
        connected: this.#options.isConnected(each),
      }));
      await this.#options.database.transaction((tx) => appendToOutbox(tx, outboxRows(devices)));
      this.#options.onEvents();
    } catch (error) {
      this.#options.logger.warn(
        { err: error, devices: seen.size },
        'sightings of devices wait for the next time',
      );
      for (const [key, each] of seen) if (!this.#seen.has(key)) this.#seen.set(key, each);
    }
  }
}

/** Devices stay in the partition of their other events; an event lists devices of one tenant. */
function outboxRows(devices: readonly DeviceSeen[]): OutboxRow[] {
  const { partitions } = STREAMS.SYNC_EVENTS;
  const orderKeyOf = ({ tenantId, deviceId }: DeviceSeen): string => `${tenantId}\0${deviceId}`;
  const groups = Map.groupBy(devices, (device) => {
    return `${device.tenantId}\0${partitionOf(orderKeyOf(device), partitions)}`;
  });
  const events = [...groups.values()].flatMap((members) => {
    return [...groupsThatFit(members, EVENT_ROOM, () => DEVICE_BYTES)].map((together) => {
      const [first] = together as [DeviceSeen];
      const teller = { source: 'sync-gateway', tenantId: first.tenantId } as const;
      const event = syncEvent('sync.device.seen.v1', { devices: together }, teller);
      return { orderKey: orderKeyOf(first), text: JSON.stringify(event) };
    });
  });
  return eventMessages(STREAMS.SYNC_EVENTS, events);
}
