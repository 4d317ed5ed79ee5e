import { request } from '@sync/messaging';
import { subjects, type RegisteredEntityType } from '@sync/protocol';
import type { NatsConnection } from '@nats-io/transport-node';
import { decodeSnapshotPage, snapshotEvent, type RawSnapshotPage } from '../backfill/snapshot-events.ts';
import { projectableEvent } from './incoming-event.ts';
import { entityKey, type ProjectableEvent } from './project-entities.ts';
import type { ProjectedType } from './projected-type.ts';

const TIMEOUT_MS = 2_000;
const ENTITIES_PER_REQUEST = 100;
/** Of one entity type in one batch; a page takes as many documents as fit into a message, at least one. */
const REQUESTS_PER_TYPE = 20;
/** The batch waits meanwhile, and whatever shares its transaction. */
const ASKING_MS = 4_000;

/**
 * Asks owners for whole documents, by snapshots of named entities. What is not answered stays away: its event
 * goes to the dead letters and is tried again from there. Remote types are left to that too, because their
 * scopes would have to be asked for once more.
 */
export class WholeDocuments {
  readonly #nats: NatsConnection;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /**
   * @param events one per entity
   * @returns per event the entity as its owner has it now, at that revision or a later one; undefined when
   * there is no answer
   */
  async ask(
    events: readonly ProjectableEvent[],
    typeOf: (entityType: string) => ProjectedType | undefined,
  ): Promise<readonly (ProjectableEvent | undefined)[]> {
    const found = new Map<string, ProjectableEvent>();
    const untilMs = performance.now() + ASKING_MS;
    for (const [entityType, ofType] of Map.groupBy(events, ({ change }) => change.entityType)) {
      const type = typeOf(entityType);
      if (type === undefined || type.remoteSubject !== null) continue;
      for (const [key, event] of await this.#askType(type, ofType, untilMs)) found.set(key, event);
    }
    return events.map((event) => found.get(keyOf(event)));
  }

  async #askType(
    type: ProjectedType,
    events: readonly ProjectableEvent[],
    untilMs: number,
  ): Promise<ReadonlyMap<string, ProjectableEvent>> {
    const found = new Map<string, ProjectableEvent>();
    for (let asked = 0; asked < REQUESTS_PER_TYPE && performance.now() < untilMs; asked += 1) {
      const missing = events.filter((event) => !found.has(keyOf(event)));
      if (missing.length === 0) break;
      const page = await this.#askPage(type.registration, missing.slice(0, ENTITIES_PER_REQUEST));
      const before = found.size;
      for (const event of eventsOf(page, type)) found.set(keyOf(event), event);
      // An owner that shows nothing new will not do so the next time.
      if (found.size === before) break;
    }
    return found;
  }

  async #askPage(
    { service, entityType, snapshotSubject }: RegisteredEntityType,
    events: readonly ProjectableEvent[],
  ): Promise<RawSnapshotPage> {
    const subject = snapshotSubject ?? subjects.snapshot(service, entityType);
    const entities = events.map(({ tenantId, change }) => ({ tenantId, entityId: change.entityId }));
    const options = { timeoutMs: TIMEOUT_MS, decode: decodeSnapshotPage };
    const question = { cursor: null, limit: entities.length, entities };
    return request(this.#nats, subject, question, options).catch(() => ({ entities: [], next: null }));
  }
}

function eventsOf(page: RawSnapshotPage, type: ProjectedType): ProjectableEvent[] {
  const { service, entityType } = type.registration;
  const context = { service, entityType, nowIso: new Date().toISOString() };
  return page.entities.flatMap((entity) => {
    const { read } = snapshotEvent(entity, context);
    return read.kind === 'readable' ? [projectableEvent(read, type, undefined)] : [];
  });
}

function keyOf({ tenantId, change }: ProjectableEvent): string {
  return entityKey(tenantId, change.entityType, change.entityId);
}
