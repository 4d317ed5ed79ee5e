import { randomUUID } from 'node:crypto';
import { partitionOf, type OutboxRow } from '@sync/messaging';
import { STREAMS, type DomainEvent } from '@sync/protocol';

/** A DomainEvent whose `data` is JSON text already, so that no entity is serialized twice. */
export interface EventDraft {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly revision: number;
  readonly schemaVersion: number;
  readonly timeIso: string;
  /** Canonical JSON. */
  readonly entityClock: string;
  readonly mutation?: {
    readonly mutationId: string;
    readonly clock: string;
    readonly deviceId: string;
    readonly occurredAt: string;
  };
  /** The entity after the change as JSON text, null after a deletion. */
  readonly json: string | null;
}

const STREAM = STREAMS.DOMAIN_EVENTS;
/** A consumer takes a message as a whole: smaller ones keep its transactions and everybody's latency short. */
const MAX_EVENTS_PER_MESSAGE = 200;
const MAX_MESSAGE_BYTES = 512 * 1024;

/**
 * The most bytes of one entity as JSON text. A message carries at least one event, and NATS takes 1 MiB: what is left is for two
 * clocks at their limit (64 KiB each) and the envelope.
 */
export const MAX_ENTITY_BYTES = 720 * 1024;

/** Writes a draft as CloudEvents 1.0 JSON. */
export function domainEventJson(service: string, draft: EventDraft): string {
  const envelope: Omit<DomainEvent, 'data'> = {
    specversion: '1.0',
    id: randomUUID(),
    source: `/services/${service}`,
    type: `${service}.${draft.entityType}.changed.v1`,
    time: draft.timeIso,
    datacontenttype: 'application/json',
    tenantid: draft.tenantId,
    entitytype: draft.entityType,
    entityid: draft.entityId,
    revision: draft.revision,
    entityop: draft.json === null ? 'delete' : 'put',
    schemaversion: draft.schemaVersion,
    entityclock: draft.entityClock,
    ...(draft.mutation && {
      mutationid: draft.mutation.mutationId,
      mutationclock: draft.mutation.clock,
      mutationdevice: draft.mutation.deviceId,
      mutationtime: draft.mutation.occurredAt,
    }),
  };
  return `${JSON.stringify(envelope).slice(0, -1)},"data":${draft.json ?? 'null'}}`;
}

/**
 * Packs events into outbox rows: all events of an entity go to one partition and keep their order; a row ends at 200 events or
 * 512 KiB, whichever comes first.
 */
export function packEvents(service: string, drafts: readonly EventDraft[]): OutboxRow[] {
  const open = new Map<number, { texts: string[]; bytes: number }>();
  const rows: OutboxRow[] = [];
  const close = (partition: number, texts: readonly string[]): void => {
    rows.push({ stream: STREAM.name, partition, payload: `[${texts.join(',')}]` });
  };
  for (const draft of drafts) {
    const key = `${draft.tenantId}\0${draft.entityType}\0${draft.entityId}`;
    const partition = partitionOf(key, STREAM.partitions);
    const text = domainEventJson(service, draft);
    const bytes = Buffer.byteLength(text) + 1;
    let message = open.get(partition);
    if (
      message &&
      (message.texts.length >= MAX_EVENTS_PER_MESSAGE || message.bytes + bytes > MAX_MESSAGE_BYTES)
    ) {
      close(partition, message.texts);
      message = undefined;
    }
    if (!message) open.set(partition, (message = { texts: [], bytes: 2 }));
    message.texts.push(text);
    message.bytes += bytes;
  }
  for (const [partition, { texts }] of open) close(partition, texts);
  return rows;
}
