import { randomUUID } from 'node:crypto';
import { parseScopeTemplate, renderScope, type JsonObject } from '@sync/domain';
import { eventMessages, type OutboxRow } from '@sync/messaging';
import { cloudEvent, sourceOfOwner, STREAMS, type DomainEvent } from '@sync/protocol';
import type { EntityDefinition } from './entity-definition.ts';
import type { EntityData } from './entity-store.ts';

/** A DomainEvent whose `data` is JSON text already, so that no entity is serialized twice. */
export interface EventDraft {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
  /**
   * Events of one tenant and key keep their order: the scope that the entity is shown in, see {@link
   * orderKeyOf}.
   */
  readonly orderKey: string;
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
    /** FieldWrites as JSON text: what was written without being changed. */
    readonly writes?: string;
  };
  /** The entity after the change as JSON text, null after a deletion. */
  readonly json: string | null;
  /** The document in `json` is what the change added. */
  readonly isIncrement?: boolean;
}

/** Writes a draft as CloudEvents 1.0 JSON. */
export function domainEventJson(service: string, draft: EventDraft): string {
  const envelope: Omit<DomainEvent, 'data'> = {
    ...cloudEvent({
      id: randomUUID(),
      source: sourceOfOwner(service),
      type: `${service}.${draft.entityType}.changed.v1`,
      timeIso: draft.timeIso,
      tenantId: draft.tenantId,
    }),
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
      ...(draft.mutation.writes !== undefined && { mutationwrites: draft.mutation.writes }),
    }),
    ...(draft.isIncrement && { docstate: 'increment' }),
  };
  return `${JSON.stringify(envelope).slice(0, -1)},"data":${draft.json ?? 'null'}}`;
}

/**
 * The order key of a change by the service itself: the entity's first scope, as its registration renders it.
 * Partitions by scope and not by entity, because a device is shown what one push or one transaction wrote in
 * the order in which it was written; by entity, a hundred appends arrived shuffled. An entity that changes
 * its scope may be overtaken by its own later event, which is harmless: projection is by revision.
 *
 * @param data null after a deletion, whose scope is not known: then the entity is its own key
 */
export function orderKeyOf(definition: EntityDefinition, entityId: string, data: EntityData | null): string {
  const own = `${definition.entityType}\0${entityId}`;
  if (definition.projection.kind !== 'declarative' || data === null) return own;
  const [first = ''] = definition.projection.scopes;
  const template = parseScopeTemplate(first);
  const ids = { entityType: definition.entityType, entityId };
  return (template.ok ? renderScope(template.template, data as JsonObject, ids) : null) ?? own;
}

/** The messages of these changes; see {@link eventMessages}. */
export function packEvents(service: string, drafts: readonly EventDraft[]): OutboxRow[] {
  const events = drafts.map((draft) => {
    return { orderKey: `${draft.tenantId}\0${draft.orderKey}`, text: domainEventJson(service, draft) };
  });
  return eventMessages(STREAMS.DOMAIN_EVENTS, events);
}
