import {
  projectEvent,
  type DomainChange,
  type EntityHead,
  type PoisonCode,
  type ProjectionResult,
  type ProjectionRule,
} from '@sync/domain';
import type { EntityChange, EventResult } from './entity-change.ts';
import { renderChange, type RenderedChange } from './render-change.ts';

/**
 * For whoever reads the dead letters; `/rule` is the registered type, `/rule/scopes/0` its first scope
 * template.
 */
const POISON_CAUSES: Readonly<Record<PoisonCode, string>> = {
  revision_invalid: 'the revision is no whole number from 0 on',
  data_not_object: 'the data is no JSON object',
  template_invalid: 'the registered template cannot be read',
  scope_unrenderable: 'the entity lacks a field that the template names, or its value can stand in no scope',
  grant_unrenderable:
    'the entity lacks a field that the grant names, or its value can stand in no scope or user',
  clock_limit_exceeded: 'the clock has no room for another entry, or a counter is used up',
};

/** An entity across tenants. No part can hold a NUL character. */
export function entityKey(tenantId: string, entityType: string, entityId: string): string {
  return `${tenantId}\0${entityType}\0${entityId}`;
}

/** One event, with everything that its projection needs to know. */
export interface ProjectableEvent {
  readonly tenantId: string;
  readonly change: DomainChange;
  readonly rule: ProjectionRule;
  readonly comparesFields: boolean;
  /** The owner's commit, epoch milliseconds. */
  readonly committedAtMs: number;
}

export interface ProjectedEntities {
  /** One per event, same order. */
  readonly results: readonly EventResult[];
  /** In the order of the last event of each. */
  readonly changes: readonly RenderedChange[];
}

export interface KnownEntities {
  readonly heads: ReadonlyMap<string, EntityHead>;
  /**
   * Their events are refused with `entity_quarantined`, so that they stay behind the one that is being looked
   * at.
   */
  readonly quarantined: ReadonlySet<string>;
  /** By `projectNew`; their heads are written already. */
  readonly created: ReadonlyMap<string, ProjectedEntity>;
}

/** What becomes of the events of one entity. */
export interface ProjectedEntity {
  readonly results: readonly { readonly place: number; readonly result: EventResult }[];
  /** Each with the place of its last event. */
  readonly changes: readonly { readonly last: number; readonly rendered: RenderedChange }[];
}

/**
 * `live` and `snapshot`: the first event of an entity that cannot be projected holds back all that follow it.
 * `replay`: each event is tried on its own; as every event carries the whole entity, a later good one makes
 * up for an earlier bad one. One that carries only an increment of the document does not: it is incomplete
 * then. Only of `live` events the age says how long deltas take.
 */
export type ProjectionMode = 'live' | 'snapshot' | 'replay';

/** Owners count from 1; a service without the SDK may begin with 0. */
const FIRST_REVISION = 1;
const STALE = { kind: 'stale' } as const;
const CHANGED = { kind: 'changed' } as const;
const INCOMPLETE = { kind: 'incomplete' } as const;

/**
 * Projects a batch: events of one entity follow each other, entities do not touch each other. Pure; throws
 * nothing that an event could cause.
 *
 * @param places by `placesByEntity`
 */
export function projectEntities(
  events: readonly ProjectableEvent[],
  places: ReadonlyMap<string, readonly number[]>,
  known: KnownEntities,
  mode: ProjectionMode,
): ProjectedEntities {
  const results: EventResult[] = Array.from({ length: events.length }, () => STALE);
  const changes: { readonly last: number; readonly rendered: RenderedChange }[] = [];
  for (const [key, ofEntity] of places) {
    const before = known.heads.get(key) ?? null;
    const projected =
      known.created.get(key) ?? renderEntity(events, ofEntity, before, known.quarantined.has(key), mode);
    for (const { place, result } of projected.results) results[place] = result;
    changes.push(...projected.changes);
  }
  changes.sort((a, b) => a.last - b.last);
  return { results, changes: changes.map(({ rendered }) => rendered) };
}

/**
 * What becomes of the entities that begin in this batch, as far as it shows: their first event is their first
 * revision. Left out are those that cannot be written, or not before their owner was asked.
 */
export function projectNew(
  events: readonly ProjectableEvent[],
  places: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, ProjectedEntity> {
  const created = new Map<string, ProjectedEntity>();
  for (const [key, ofEntity] of places) {
    const first = events[ofEntity[0] as number];
    if (first === undefined || first.change.revision > FIRST_REVISION) continue;
    const projected = renderEntity(events, ofEntity, null, false, 'live');
    const isIncomplete = projected.results.some(({ result }) => result.kind === 'incomplete');
    if (projected.changes.length > 0 && !isIncomplete) created.set(key, projected);
  }
  return created;
}

/** The places of each entity's events, by `entityKey`. */
export function placesByEntity(events: readonly ProjectableEvent[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  for (const [place, { tenantId, change }] of events.entries()) {
    const key = entityKey(tenantId, change.entityType, change.entityId);
    const known = places.get(key);
    if (known === undefined) places.set(key, [place]);
    else known.push(place);
  }
  return places;
}

function renderEntity(
  events: readonly ProjectableEvent[],
  places: readonly number[],
  before: EntityHead | null,
  quarantined: boolean,
  mode: ProjectionMode,
): ProjectedEntity {
  const { results, changes } = projectEntity(events, places, before, quarantined, mode);
  const rendered: { last: number; rendered: RenderedChange }[] = [];
  for (const { place, change } of changes) {
    const one = renderChange(change);
    if (one.kind === 'rendered') rendered.push({ last: place, rendered: one });
    else return { results: results.map((of) => refuseChanged(of, one.refusal)), changes: [] };
  }
  return { results, changes: rendered };
}

/** Nothing of the entity was written yet: refusing what changed it leaves it as it was. */
function refuseChanged(
  { place, result }: ProjectedEntity['results'][number],
  refusal: EventResult,
): ProjectedEntity['results'][number] {
  return { place, result: result === CHANGED ? refusal : result };
}

interface EntityOutcome {
  readonly results: readonly { readonly place: number; readonly result: EventResult }[];
  /** At most one, but for increments; each with the place of its last event. */
  readonly changes: readonly PlacedChange[];
}

interface PlacedChange {
  readonly place: number;
  readonly change: EntityChange;
}

function projectEntity(
  events: readonly ProjectableEvent[],
  places: readonly number[],
  before: EntityHead | null,
  quarantined: boolean,
  mode: ProjectionMode,
): EntityOutcome {
  const results: { place: number; result: EventResult }[] = [];
  let held = quarantined && mode !== 'replay';
  let head = before;
  let changes: PlacedChange[] = [];
  const passed = new Set<string>();
  for (const place of places) {
    const event = events[place] as ProjectableEvent;
    if (held) {
      results.push({ place, result: heldBack() });
      continue;
    }
    const projected = projectOne(head, event, mode);
    if (projected.kind === 'overtaken') {
      const change = overtakenChange(event, head, before !== null, projected);
      changes = [...changes.map(notLast), { place, change }];
      head = projected.head;
      for (const scope of projected.left) passed.add(scope);
      results.push({ place, result: CHANGED });
    } else if (projected.kind === 'changed') {
      const document = documentOf(event);
      // A whole document, or an entity without one, says all that the events before it said.
      const kept = document === 'increment' ? changes : [];
      const from = document === 'increment' ? head : before;
      const earlier = new Set([...(from?.scopes ?? []), ...(document === 'increment' ? [] : passed)]);
      const known = { before: from, isKnown: before !== null, last: head, earlier };
      changes = [...kept.map(notLast), { place, change: changeOf(event, known, projected, document) }];
      head = projected.head;
      for (const scope of head.scopes) passed.add(scope);
      results.push({ place, result: CHANGED });
    } else {
      results.push({ place, result: projected });
      held = projected.kind === 'refused' && mode !== 'replay';
    }
  }
  return { results, changes };
}

function notLast({ place, change }: PlacedChange): PlacedChange {
  return change.isLast ? { place, change: { ...change, isLast: false } } : { place, change };
}

function documentOf({ change, rule }: ProjectableEvent): EntityChange['document'] {
  if (rule.docUpdateField === null) return null;
  return change.isIncrement && change.op !== 'delete' ? 'increment' : 'whole';
}

interface ProjectedHead {
  readonly kind: 'changed';
  readonly head: EntityHead;
  readonly update: string | null;
}

type Overtaken = Extract<ProjectionResult, { readonly kind: 'overtaken' }>;

function projectOne(
  head: EntityHead | null,
  event: ProjectableEvent,
  mode: ProjectionMode,
): ProjectedHead | Overtaken | Exclude<EventResult, { readonly kind: 'changed' }> {
  try {
    const projected = projectEvent(head, event.change, event.rule);
    switch (projected.kind) {
      case 'overtaken':
        // A page of a snapshot is older than the events that came meanwhile, which have told of all this.
        return mode === 'snapshot' ? STALE : projected;
      case 'stale':
        return STALE;
      case 'incomplete':
        return INCOMPLETE;
      case 'poison':
        return {
          kind: 'refused',
          code: projected.code,
          cause: `${projected.path}: ${POISON_CAUSES[projected.code]}`,
        };
      case 'changed': {
        const update = projected.deltas.find((delta) => delta.update !== null)?.update ?? null;
        return { kind: 'changed', head: projected.head, update };
      }
    }
  } catch (error) {
    // A fault of ours, not of the event: it must hold back this entity and not the whole partition.
    return { kind: 'refused', code: 'projection_failed', cause: String(error) };
  }
}

/**
 * What a deletion leaves behind, without what was deleted where a scope is told of the deletion that the
 * entity had left before, in the same batch: who holds that scope might bring the entity back, and would see
 * what it had become elsewhere.
 */
function withoutElsewhere(after: EntityHead, last: EntityHead | null, told: readonly string[]): EntityHead {
  const saw = last?.deleted ? last.leftScopes : last?.scopes;
  const isSecret = after.deleted && told.some((scope) => !saw?.includes(scope));
  return isSecret ? { ...after, deletedData: null } : after;
}

function changeOf(
  { tenantId, change, comparesFields, committedAtMs }: ProjectableEvent,
  known: {
    readonly before: EntityHead | null;
    readonly isKnown: boolean;
    /** Right before the change. */
    readonly last: EntityHead | null;
    /** The scopes of `before`, and of the heads between it and the change. */
    readonly earlier: ReadonlySet<string>;
  },
  { head, update }: ProjectedHead,
  document: EntityChange['document'],
): EntityChange {
  const { entityType, entityId } = change;
  const names = { tenantId, entityType, entityId };
  const isNews = head.revision !== known.before?.revision;
  const earlier = new Set([...known.earlier, ...(isNews ? head.leftScopes : [])]);
  const left = [...earlier].filter((scope) => !head.scopes.includes(scope));
  return {
    ...names,
    before: known.before,
    after: withoutElsewhere(head, known.last, left),
    left,
    isKnown: known.isKnown,
    concernsItsScopes: true,
    isLast: true,
    update,
    document,
    comparesFields,
    committedAtMs,
  };
}

/** Tells scopes that an entity which they are about to wait for is not there any more. */
function overtakenChange(
  event: ProjectableEvent,
  before: EntityHead | null,
  isKnown: boolean,
  { head, left }: Overtaken,
): EntityChange {
  const { tenantId, change, comparesFields, committedAtMs } = event;
  const { entityType, entityId } = change;
  const document = event.rule.docUpdateField === null ? null : 'whole';
  const names = { tenantId, entityType, entityId };
  const said = {
    isKnown,
    concernsItsScopes: false,
    isLast: true,
    update: null,
    document,
    comparesFields,
  } as const;
  return { ...names, before, after: head, left, ...said, committedAtMs };
}

/** The result of an event whose entity is quarantined. */
export function heldBack(): Extract<EventResult, { readonly kind: 'refused' }> {
  return {
    kind: 'refused',
    code: 'entity_quarantined',
    cause: 'An earlier event of this entity is in the dead letters; this one waits behind it',
  };
}
