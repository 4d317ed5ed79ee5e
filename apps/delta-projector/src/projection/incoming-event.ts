import type { DomainChange, JsonObject, ProjectionRule } from '@sync/domain';
import type { ProjectableEvent } from './project-entities.ts';
import type { ProjectedType } from './projected-type.ts';
import { readEvents, type EventIdentity, type ReadableEvent, type ReadEvent } from './read-events.ts';
import type { RemoteAnswer } from './remote-projector.ts';

/** One event as it came, and who published it. */
export interface IncomingEvent {
  readonly read: ReadEvent;
  readonly producer: string;
  readonly identity: EventIdentity;
  /** The event as JSON text, for the dead letters; made only when asked for. */
  readonly text: string;
}

/** Reads the events of one message of `producer`. */
export function incomingEvents(
  producer: string,
  payload: string,
  headers?: Readonly<Record<string, string>>,
): IncomingEvent[] {
  return readEvents(payload, headers).map((read) => incomingEvent(producer, read));
}

/** An event that has been read, with whoever published it. */
export function incomingEvent(producer: string, read: ReadEvent): IncomingEvent {
  if (read.kind === 'faulty') return { read, producer, identity: read, text: read.text };
  const { tenantid, id, entitytype, entityid, revision } = read.event;
  const identity = { tenantId: tenantid, eventId: id, entityType: entitytype, entityId: entityid, revision };
  return {
    read,
    producer,
    identity,
    get text() {
      return JSON.stringify(read.event);
    },
  };
}

/** What the event says, in the terms of `libs/domain`. */
export function projectableEvent(
  { event, timeMs, clock, mutationClock, decidedWrites }: ReadableEvent,
  type: ProjectedType,
  answer: RemoteAnswer | undefined,
): ProjectableEvent {
  const isDeleted = event.entityop === 'delete' || (event.entityop === undefined && event.data === null);
  const change: DomainChange = {
    entityType: event.entitytype,
    entityId: event.entityid,
    revision: event.revision,
    op: isDeleted || answer?.data === null ? 'delete' : 'put',
    data: isDeleted ? null : ((answer?.data ?? event.data) as JsonObject | null),
    clock,
    mutationClock,
    mutationDeviceId: event.mutationdevice ?? null,
    // The writer's time decides between writers; the owner's commit only where no device wrote.
    occurredAtMs: event.mutationtime === undefined ? timeMs : Date.parse(event.mutationtime),
    service: type.registration.service,
    update: null,
    isIncrement: event.docstate === 'increment',
    decidedWrites,
  };
  return {
    tenantId: event.tenantid,
    change,
    rule: answer === undefined ? type.rule : answeredRule(type.rule, answer),
    comparesFields: type.comparesFields,
    committedAtMs: timeMs,
  };
}

/**
 * A remote answer as a rule whose templates have no placeholders: declarative and remote types take the same
 * way from here.
 */
function answeredRule(rule: ProjectionRule, { scopes, grants }: RemoteAnswer): ProjectionRule {
  return { ...rule, scopes, grants: grants.map(({ scope, userId }) => ({ scope, user: userId })) };
}
