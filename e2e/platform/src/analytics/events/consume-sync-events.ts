import type { NatsConnection } from '@nats-io/transport-node';
import { type Batch, PartitionedConsumer, setTenants } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { STREAMS, type SyncEvent, TENANT_ID_PATTERN } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import { keepEvents } from './event-store.ts';

/** Nobody waits for analytics: larger batches cost less. */
const LINGER_MS = 1_000;
const TENANT_ID = new RegExp(TENANT_ID_PATTERN);

/**
 * Stores the firehose. What was pruned before it was read is missed, and logged: analytics is not the truth
 * of anything.
 */
export function consumeSyncEvents(options: {
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly logger: Logger;
}): PartitionedConsumer {
  const { logger } = options;
  return new PartitionedConsumer({
    ...options,
    stream: STREAMS.SYNC_EVENTS,
    consumer: 'analytics',
    lingerMs: LINGER_MS,
    handle: (tx, batches) => store(tx, batches, logger),
    onPruned: async (pruned) => {
      logger.warn({ event: 'events_missed', ...pruned }, 'sync events were pruned before they were read');
    },
  });
}

/** An event that cannot be stored must not stop the ones behind it: it is logged and left out. */
async function store(tx: Tx, batches: readonly Batch[], logger: Logger): Promise<void> {
  const events = batches.flatMap(({ producer, messages }) =>
    messages.flatMap(({ payload, number }) =>
      eventsIn(payload).filter((event): event is SyncEvent => {
        if (isStorable(event)) return true;
        logger.warn({ producer, number }, 'a sync event cannot be read and is left out');
        return false;
      }),
    ),
  );
  if (events.length === 0) return;
  await setTenants(tx, new Set(events.map((event) => event.tenantid)));
  await keepEvents(tx, events);
}

function eventsIn(payload: string): unknown[] {
  try {
    const value: unknown = JSON.parse(payload);
    return Array.isArray(value) ? value : [value];
  } catch {
    return [undefined];
  }
}

function isStorable(value: unknown): value is SyncEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, type, tenantid, time } = value as Partial<Record<keyof SyncEvent, unknown>>;
  const isText = typeof id === 'string' && typeof type === 'string' && typeof time === 'string';
  return (
    isText && typeof tenantid === 'string' && TENANT_ID.test(tenantid) && !Number.isNaN(Date.parse(time))
  );
}
