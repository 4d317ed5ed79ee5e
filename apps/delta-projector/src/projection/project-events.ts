import { randomBytes } from 'node:crypto';
import { appendToOutbox } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { deltaMessages, grantChanges } from './delta-messages.ts';
import type { EventResult } from './entity-change.ts';
import { saveProjection } from './heads-store.ts';
import { projectableEvent, type IncomingEvent } from './incoming-event.ts';
import { knowEntities } from './know-entities.ts';
import {
  entityKey,
  heldBack,
  placesByEntity,
  projectEntities,
  type KnownEntities,
  type ProjectableEvent,
  type ProjectedEntities,
  type ProjectionMode,
} from './project-entities.ts';
import type { ProjectedType } from './projected-type.ts';
import type { RemoteAnswer, RemoteProjector } from './remote-projector.ts';
import type { RenderedChange } from './render-change.ts';
import type { WholeDocuments } from './whole-documents.ts';
import { scopeChanges } from './scope-changes.ts';
import { syncEventMessages } from './sync-event-messages.ts';

/** What became of one event. `holds`: the later events of its entity must wait behind it. */
export type EventOutcome =
  | Exclude<EventResult, { readonly kind: 'refused' | 'incomplete' }>
  | { readonly kind: 'refused'; readonly code: string; readonly cause: string; readonly holds: boolean };

/** Where entity types come from; `registry/` implements it. */
export interface EntityTypes {
  get(entityType: string): ProjectedType | undefined;
  /** Looks once for entity types that are not known yet; returns soon whether or not somebody answers. */
  lookFor(entityTypes: ReadonlySet<string>): Promise<void>;
}

interface Candidate {
  readonly place: number;
  readonly event: ProjectableEvent;
}

/**
 * The projection of a batch in the caller's transaction, in three round trips however long the batch is: heads
 * are locked and read, or written where the entities begin in it; the other heads and scope heads are written;
 * deltas, grants and sync events go to the outbox.
 *
 * Who calls it (consumer, backfill, replay) decides what happens to the refused events; nothing of them has
 * been written.
 */
export class ProjectEvents {
  readonly #types: EntityTypes;
  readonly #remote: RemoteProjector;
  readonly #documents: WholeDocuments;
  readonly #origin: string;

  /** @param origin the name of this region in positions */
  constructor(types: EntityTypes, remote: RemoteProjector, documents: WholeDocuments, origin: string) {
    this.#types = types;
    this.#remote = remote;
    this.#documents = documents;
    this.#origin = origin;
  }

  /**
   * @returns one outcome per event, same order
   * @throws RemoteProjectionError, or SQLSTATE 40001 and 40P01: roll back and start over
   */
  async project(
    tx: Tx,
    incoming: readonly IncomingEvent[],
    mode: ProjectionMode,
  ): Promise<readonly EventOutcome[]> {
    await this.#lookForTypes(incoming);
    const outcomes: EventOutcome[] = incoming.map((event) => this.#examine(event));
    const answers = await this.#askRemotes(incoming, outcomes);
    if (mode !== 'replay') holdBehindFaulty(incoming, outcomes);
    const candidates = this.#candidates(incoming, outcomes, answers);
    const tenants = new Set(incoming.flatMap(({ identity }) => identity.tenantId ?? []));
    // Even when nothing is left to project: what is refused is written under these tenants as well.
    if (tenants.size === 0) return outcomes;
    const events = candidates.map(({ event }) => event);
    const places = placesByEntity(events);
    const known = await knowEntities(tx, tenants, events, places, mode);
    const { results, changes } = await this.#projectWhole(events, places, known, mode);
    for (const [at, { place }] of candidates.entries())
      outcomes[place] = outcomeOf(results[at] as EventResult);
    if (changes.length > 0) await this.#save(tx, changes, known, mode === 'live');
    return outcomes;
  }

  /** A registration may reach us later than the first events of its types. */
  async #lookForTypes(incoming: readonly IncomingEvent[]): Promise<void> {
    const missing = new Set<string>();
    for (const { read } of incoming) {
      if (read.kind === 'faulty' || this.#types.get(read.event.entitytype) !== undefined) continue;
      missing.add(read.event.entitytype);
    }
    if (missing.size > 0) await this.#types.lookFor(missing);
  }

  /** What can be said of an event without its head; `stale` stands for "nothing yet". */
  #examine({ read, producer, identity }: IncomingEvent): EventOutcome {
    const type = identity.entityType === null ? undefined : this.#types.get(identity.entityType);
    const isForeign = type !== undefined && type.registration.service !== producer;
    if (read.kind === 'faulty') {
      // Only its owner can hold an entity back, or anybody could stop anything.
      const { code, cause } = read;
      return { kind: 'refused', code, cause, holds: type !== undefined && !isForeign };
    }
    if (type === undefined) {
      const cause = `Nobody has registered the entity type ${read.event.entitytype}`;
      return { kind: 'refused', code: 'entity_type_unknown', cause, holds: false };
    }
    if (!isForeign) return { kind: 'stale' };
    const cause = `${read.event.entitytype} belongs to ${type.registration.service}, not to ${producer}`;
    return { kind: 'refused', code: 'not_the_owner', cause, holds: false };
  }

  #candidates(
    incoming: readonly IncomingEvent[],
    outcomes: readonly EventOutcome[],
    answers: ReadonlyMap<number, RemoteAnswer>,
  ): Candidate[] {
    return incoming.flatMap(({ read }, place) => {
      if (outcomes[place]?.kind === 'refused' || read.kind === 'faulty') return [];
      const type = this.#types.get(read.event.entitytype);
      return type === undefined ? [] : [{ place, event: projectableEvent(read, type, answers.get(place)) }];
    });
  }

  /** Answers for the events of remote types, by place; without an answer they are refused in `outcomes`. */
  async #askRemotes(
    incoming: readonly IncomingEvent[],
    outcomes: EventOutcome[],
  ): Promise<ReadonlyMap<number, RemoteAnswer>> {
    const places = new Map<string, number[]>();
    for (const [place, { read }] of incoming.entries()) {
      if (read.kind === 'faulty' || outcomes[place]?.kind === 'refused' || read.event.data === null) continue;
      const subject = this.#types.get(read.event.entitytype)?.remoteSubject ?? null;
      if (subject !== null) places.set(subject, [...(places.get(subject) ?? []), place]);
    }
    const answers = new Map<number, RemoteAnswer>();
    for (const [subject, asked] of places) {
      const questions = asked.flatMap((place) => {
        const read = incoming[place]?.read;
        if (read?.kind !== 'readable') return [];
        const { tenantid: tenantId, entitytype: entityType, entityid: entityId, revision, data } = read.event;
        return [{ tenantId, entityType, entityId, revision, data }];
      });
      const answered = await this.#remote.ask(subject, questions);
      for (const [at, place] of asked.entries()) {
        const answer = typeof answered === 'string' ? undefined : answered[at];
        if (answer !== undefined) answers.set(place, answer);
        else
          outcomes[place] = unanswered(typeof answered === 'string' ? answered : 'No answer for this entity');
      }
    }
    return answers;
  }

  /**
   * Where an increment does not continue what is known, the whole document takes its place. Its owner is
   * asked while the heads are locked: only then it is known to be missing, and it is rare (an entity moved
   * into another scope, an event in the dead letters).
   */
  async #projectWhole(
    events: readonly ProjectableEvent[],
    places: ReadonlyMap<string, readonly number[]>,
    known: KnownEntities,
    mode: ProjectionMode,
  ): Promise<ProjectedEntities> {
    const projected = projectEntities(events, places, known, mode);
    const missing = incompleteEvents(events, projected.results);
    if (missing.length === 0) return projected;
    const found = await this.#documents.ask(
      missing.map(({ event }) => event),
      (entityType) => this.#types.get(entityType),
    );
    const completed = [...events];
    for (const [at, { place }] of missing.entries())
      completed[place] = found[at] ?? (events[place] as ProjectableEvent);
    return projectEntities(completed, places, known, mode);
  }

  async #save(
    tx: Tx,
    changes: readonly RenderedChange[],
    { created }: KnownEntities,
    isNews: boolean,
  ): Promise<void> {
    const scopes = scopeChanges(changes, isNews);
    const epoch = randomBytes(8).toString('hex');
    const positions = await saveProjection(tx, changes, created, scopes, epoch);
    const grants = grantChanges(changes);
    await appendToOutbox(tx, [
      ...deltaMessages(this.#origin, scopes, positions, grants),
      ...syncEventMessages(scopes, positions, grants, new Date()),
    ]);
  }
}

function outcomeOf(result: EventResult): EventOutcome {
  switch (result.kind) {
    case 'refused':
      return { ...result, holds: true };
    case 'incomplete': {
      // Nothing is wrong with the entity: its next event asks again, and so does the retry of this one.
      const cause = 'Its document is an increment, and the owner did not show the whole one';
      return { kind: 'refused', code: 'document_unavailable', cause, holds: false };
    }
    case 'changed':
    case 'stale':
      return result;
  }
}

/** The first incomplete event of each entity that no later event makes whole, with its place. */
function incompleteEvents(
  events: readonly ProjectableEvent[],
  results: readonly EventResult[],
): { readonly place: number; readonly event: ProjectableEvent }[] {
  const missing = new Map<string, { readonly place: number; readonly event: ProjectableEvent }>();
  for (const [place, event] of events.entries()) {
    const { tenantId, change } = event;
    const key = entityKey(tenantId, change.entityType, change.entityId);
    const kind = results[place]?.kind;
    if (kind === 'incomplete' && !missing.has(key)) missing.set(key, { place, event });
    if (kind === 'changed') missing.delete(key);
  }
  return [...missing.values()];
}

/** Nothing is wrong with the entity: a later event may go ahead of this one, which then is stale. */
function unanswered(cause: string): EventOutcome {
  return { kind: 'refused', code: 'projector_unavailable', cause, holds: false };
}

/**
 * What follows a faulty event of its entity in the same batch waits behind it, as what follows in later
 * batches does.
 */
function holdBehindFaulty(incoming: readonly IncomingEvent[], outcomes: EventOutcome[]): void {
  const held = new Set<string>();
  for (const [place, { identity }] of incoming.entries()) {
    const { tenantId, entityType, entityId } = identity;
    const outcome = outcomes[place];
    if (tenantId === null || entityType === null || entityId === null) continue;
    const key = entityKey(tenantId, entityType, entityId);
    if (outcome?.kind === 'refused') {
      if (outcome.holds) held.add(key);
    } else if (held.has(key)) {
      outcomes[place] = { ...heldBack(), holds: true };
    }
  }
}
