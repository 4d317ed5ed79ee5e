import { cloudEvent, sourceOfOwner } from '@sync/protocol';
import { incomingEvent, type IncomingEvent } from '../projection/incoming-event.ts';
import { readEvent } from '../projection/read-events.ts';

/** A page as far as it must be right for the next one to be asked; each entity is checked on its own. */
export interface RawSnapshotPage {
  readonly entities: readonly unknown[];
  readonly next: string | null;
}

/** @throws TypeError when it is no page at all */
export function decodeSnapshotPage(value: unknown): RawSnapshotPage {
  const { entities, next } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<
    Record<'entities' | 'next', unknown>
  >;
  if (!Array.isArray(entities)) throw new TypeError('/entities is not an array');
  if (next !== null && typeof next !== 'string') throw new TypeError('/next is neither a cursor nor null');
  return { entities, next };
}

/**
 * An entity of a snapshot as the domain event that would have led to it, so that backfill, rebuild and live
 * events take one way. An entity that is no SnapshotEntity becomes a faulty event and goes to the dead
 * letters alone.
 *
 * @param nowIso stands in where the owner does not tell when the entity changed
 */
export function snapshotEvent(
  entity: unknown,
  {
    service,
    entityType,
    nowIso,
  }: { readonly service: string; readonly entityType: string; readonly nowIso: string },
): IncomingEvent {
  const { tenantId, entityId, revision, clock, data, deleted, changedAt } = (
    typeof entity === 'object' && entity !== null ? entity : {}
  ) as Readonly<
    Record<'tenantId' | 'entityId' | 'revision' | 'clock' | 'data' | 'deleted' | 'changedAt', unknown>
  >;
  const event = {
    ...cloudEvent({
      id: `snapshot-${String(revision)}`,
      source: sourceOfOwner(service),
      type: `${service}.${entityType}.snapshot.v1`,
      // Whatever they are: readEvent checks them.
      timeIso: (changedAt ?? nowIso) as string,
      tenantId: tenantId as string,
    }),
    entitytype: entityType,
    entityid: entityId,
    revision,
    entityop: deleted === true ? 'delete' : 'put',
    ...(clock !== undefined && { entityclock: JSON.stringify(clock) }),
    data: data ?? null,
  };
  return incomingEvent(service, readEvent(event, true));
}

/**
 * The deletion of an entity that its owner no longer shows: one revision on, which is what the lost event
 * had.
 */
export function lostDeletion(
  entity: { readonly tenantId: string; readonly entityId: string; readonly revision: number },
  context: { readonly service: string; readonly entityType: string; readonly nowIso: string },
): IncomingEvent {
  return snapshotEvent({ ...entity, revision: entity.revision + 1, data: null, deleted: true }, context);
}
