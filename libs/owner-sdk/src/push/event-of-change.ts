import { namedWrites, POLICIES, repeatingWrites, type FieldWrites, type JsonObject } from '@sync/domain';
import type { PushedMutation } from '@sync/protocol';
import {
  canonicalClockJson,
  counterOf,
  deviceReplica,
  type ChangeDot,
  type VectorClock,
} from '@sync/vector-clock';
import type { EventDraft } from '../domain-event-outbox.ts';
import type { EntityDefinition } from '../entity-definition.ts';
import type { EntityData } from '../entity-store.ts';
import type { Accepted } from '../handler-answer.ts';
import type { EntityNow, PushState } from './decide-push.ts';

/** How a mutation of a document went into it. */
export interface DocumentPart {
  /** The fields beside the document, as the handler answered them. */
  readonly plain: EntityData;
  readonly isIncrement: boolean;
}

/** The entity's clock with a change in it; `brings`: under the device's own dot. */
export interface CountedChange {
  readonly brings: boolean;
  readonly clock: VectorClock;
  readonly dot: ChangeDot;
}

/** What a mutation makes of its entity. */
export interface NextState {
  readonly answer: Accepted;
  /** The answer's data as text. */
  readonly json: string | null;
  readonly counted: CountedChange;
  readonly document: DocumentPart | null;
}

/** The domain event of a change that was taken. @param now the entity before it */
export function eventOfChange(
  definition: EntityDefinition,
  { tenantId, nowIso }: PushState,
  mutation: PushedMutation,
  now: EntityNow,
  next: NextState,
): EventDraft {
  const { counted, json, document } = next;
  const entityClock = canonicalClockJson(counted.clock);
  return {
    tenantId,
    entityType: definition.entityType,
    entityId: mutation.entityId,
    orderKey: mutation.scope,
    revision: now.revision + 1,
    schemaVersion: definition.schemaVersion,
    timeIso: nowIso,
    entityClock,
    ...(counted.brings && { mutation: writtenBy(definition, mutation, now, next, entityClock) }),
    json,
    ...(document?.isIncrement && { isIncrement: true }),
  };
}

/** Whose change the event tells of; only of one that is counted under its device's own dot. */
function writtenBy(
  definition: EntityDefinition,
  mutation: PushedMutation,
  now: EntityNow,
  { answer }: NextState,
  entityClock: string,
): NonNullable<EventDraft['mutation']> {
  const { mutationId, deviceId, occurredAt } = mutation;
  const { comparesFields } = POLICIES[definition.policy];
  const writes = comparesFields ? repeatedWritesText(mutation, now, answer.data) : undefined;
  const clock = now.revision === 0 ? entityClock : canonicalClockJson(mutation.clock);
  return { mutationId, clock, deviceId, occurredAt, ...(writes === undefined ? {} : { writes }) };
}

/** Beyond it the projector infers writers from the difference alone: an event has to fit a message. */
const MAX_WRITES_LENGTH = 32_768;

/**
 * What the mutation wrote without changing it, for the event; see `mutationwrites` of DomainEvent. Computed
 * here because only here both are known, what was decided and what the data was: so nearly every event goes
 * without it.
 */
function repeatedWritesText(
  mutation: PushedMutation,
  now: EntityNow,
  after: EntityData | null,
): string | undefined {
  if (now.revision === 0) return undefined;
  const { op, data, clock, deviceId, occurredAt } = mutation;
  const by = deviceReplica(deviceId);
  const write = { atMs: Date.parse(occurredAt), by, counter: counterOf(clock, by) };
  const asSent = { op, data: data as JsonObject | null };
  const decided: FieldWrites = mutation.fieldWrites ?? namedWrites(asSent, write);
  const repeated = repeatingWrites(decided, now.data as JsonObject | null, after as JsonObject | null);
  if (Object.keys(repeated).length === 0) return undefined;
  const text = JSON.stringify(repeated);
  return text.length > MAX_WRITES_LENGTH ? undefined : text;
}
