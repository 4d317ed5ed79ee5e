import { randomBytes } from 'node:crypto';
import { appendToOutbox } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { AnswersMissing, type Answers } from './answers.ts';
import type { AskingDatabase } from './asking-database.ts';
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
import type { EntityTypes } from './projected-type.ts';
import type { RemoteAnswer, RemoteQuestion } from './remote-projector.ts';
import type { RenderedChange } from './render-change.ts';
import { scopeChanges } from './scope-changes.ts';
import { syncEventMessages } from './sync-event-messages.ts';

/** What became of one event. `holds`: the later events of its entity must wait behind it. */
export type EventOutcome =
  | Exclude<EventResult, { readonly kind: 'refused' | 'incomplete' }>
  | { readonly kind: 'refused'; readonly code: string; readonly cause: string; readonly holds: boolean };

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
  readonly #asking: Pick<AskingDatabase, 'answersOf'>;
  readonly #origin: string;

  /**
   * @param asking whose transactions come here
   * @param origin the name of this region in positions
   */
  constructor(types: EntityTypes, asking: Pick<AskingDatabase, 'answersOf'>, origin: string) {
    this.#types = types;
    this.#asking = asking;
    this.#origin = origin;
  }

  /**
   * @returns one outcome per event, same order
   * @throws AnswersMissing, or SQLSTATE 40001 and 40P01: roll back and start over
   */
  async project(
    tx: Tx,
    incoming: readonly IncomingEvent[],
    mode: ProjectionMode,
  ): Promise<readonly EventOutcome[]> {
    const { answers, outcomes, remote } = this.#prepare(tx, incoming);
    if (mode !== 'replay') holdBehindFaulty(incoming, outcomes);
    const candidates = this.#candidates(incoming, outcomes, remote);
    const tenants = new Set(incoming.flatMap(({ identity }) => identity.tenantId ?? []));
    // Even when nothing is left to project: what is refused is written under these tenants as well.
    if (tenants.size === 0) return outcomes;
    const events = candidates.map(({ event }) => event);
    const places = placesByEntity(events);
    const known = await knowEntities(tx, tenants, events, places, mode);
    const { results, changes } = projectWhole(events, places, known, mode, answers);
    for (const [at, { place }] of candidates.entries())
      outcomes[place] = outcomeOf(results[at] as EventResult);
    if (changes.length > 0) await this.#save(tx, changes, known, mode === 'live');
    return outcomes;
  }

  /**
   * For whoever projects events one by one: asks at once for whatever can be known to be missing before heads
   * are read.
   * @throws AnswersMissing
   */
  requireAnswers(tx: Tx, incoming: readonly IncomingEvent[]): void {
    this.#prepare(tx, incoming);
  }

  /** @throws AnswersMissing */
  #prepare(
    tx: Tx,
    incoming: readonly IncomingEvent[],
  ): { answers: Answers; outcomes: EventOutcome[]; remote: ReadonlyMap<number, RemoteAnswer> } {
    const answers = this.#asking.answersOf(tx);
    this.#lookForTypes(incoming, answers);
    const outcomes = incoming.map((event) => this.#examine(event));
    const remote = this.#remoteAnswers(incoming, outcomes, answers);
    return { answers, outcomes, remote };
  }

  /** A registration may reach us later than the first events of its types. @throws AnswersMissing */
  #lookForTypes(incoming: readonly IncomingEvent[], answers: Answers): void {
    const types = new Set<string>();
    for (const { read } of incoming) {
      if (read.kind === 'faulty' || this.#types.get(read.event.entitytype) !== undefined) continue;
      if (!answers.hasLookedFor(read.event.entitytype)) types.add(read.event.entitytype);
    }
    if (types.size > 0) throw new AnswersMissing({ kind: 'types', types });
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

  /**
   * Answers for the events of remote types, by place; without an answer they are refused in `outcomes`.
   * @throws AnswersMissing
   */
  #remoteAnswers(
    incoming: readonly IncomingEvent[],
    outcomes: EventOutcome[],
    answers: Answers,
  ): ReadonlyMap<number, RemoteAnswer> {
    const found = new Map<number, RemoteAnswer>();
    const questions = new Map<string, RemoteQuestion[]>();
    for (const [place, { read }] of incoming.entries()) {
      if (read.kind === 'faulty' || outcomes[place]?.kind === 'refused' || read.event.data === null) continue;
      const subject = this.#types.get(read.event.entitytype)?.remoteSubject ?? null;
      if (subject === null) continue;
      const { tenantid: tenantId, entitytype: entityType, entityid: entityId, revision, data } = read.event;
      const question = { tenantId, entityType, entityId, revision, data };
      const answer = answers.remote(subject, question);
      if (answer === undefined) questions.set(subject, [...(questions.get(subject) ?? []), question]);
      else if (typeof answer === 'string') outcomes[place] = unanswered(answer);
      else found.set(place, answer);
    }
    if (questions.size > 0) throw new AnswersMissing({ kind: 'remote', questions });
    return found;
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

/**
 * Where an increment does not continue what is known, the whole document takes its place. Only with the heads
 * it is known to be missing, and it is rare (an entity moved into another scope, an event in the dead
 * letters).
 *
 * @throws AnswersMissing
 */
function projectWhole(
  events: readonly ProjectableEvent[],
  places: ReadonlyMap<string, readonly number[]>,
  known: KnownEntities,
  mode: ProjectionMode,
  answers: Answers,
): ProjectedEntities {
  const projected = projectEntities(events, places, known, mode);
  const missing = incompleteEvents(events, projected.results);
  if (missing.length === 0) return projected;
  const unasked = missing.flatMap(({ event }) => (answers.document(event) === undefined ? [event] : []));
  if (unasked.length > 0) throw new AnswersMissing({ kind: 'documents', events: unasked });
  const completed = [...events];
  for (const { place, event } of missing) completed[place] = answers.document(event) ?? event;
  return projectEntities(completed, places, known, mode);
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
