import { randomUUID } from 'node:crypto';
import { appendToOutbox, type OutboxRow, partitionOf, RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { type DeviceSeen, STREAMS, type SyncEvent } from '@sync/protocol';
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
/** Some 250 bytes each: a message of at most 250 kB. */
const DEVICES_PER_MESSAGE = 1_000;

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

/** Devices stay in the partition of their other events; a message lists devices of one tenant per event. */
function outboxRows(devices: readonly DeviceSeen[]): OutboxRow[] {
  const { partitions } = STREAMS.SYNC_EVENTS;
  const byPartition = Map.groupBy(devices, ({ tenantId, deviceId }) =>
    partitionOf(`${tenantId}\0${deviceId}`, partitions),
  );
  return [...byPartition].flatMap(([partition, members]) => {
    const rows: OutboxRow[] = [];
    for (let at = 0; at < members.length; at += DEVICES_PER_MESSAGE) {
      const byTenant = Map.groupBy(members.slice(at, at + DEVICES_PER_MESSAGE), ({ tenantId }) => tenantId);
      const events = [...byTenant].map(([tenantId, ofTenant]) => seenEvent(tenantId, ofTenant));
      rows.push({ stream: 'SYNC_EVENTS', partition, payload: JSON.stringify(events) });
    }
    return rows;
  });
}

function seenEvent(tenantId: string, devices: readonly DeviceSeen[]): SyncEvent<'sync.device.seen.v1'> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'sync-gateway',
    type: 'sync.device.seen.v1',
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    tenantid: tenantId,
    data: { devices },
  };
}
