import {
  recordFieldWrites,
  writeIn,
  mutationWrite,
  parseScopeTemplate,
  POLICIES,
  renderScope,
  type EntityState,
  type JsonObject,
  type SubmitDecision,
} from '@sync/domain';
import type { OwnerState, RegisteredEntityType, RemoteDelta } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import { absentText, type EntityHead, stateOfHead } from '../../read-model/entity-head.ts';
import type { Work } from '../outcome/settlement.ts';
import type { PreparedMutation } from '../prepare/prepare-mutation.ts';
import { inputOf } from './mutation-input.ts';

/**
 * Where an entity stands while its lane is worked off: first as the read model shows it, then one own
 * change after the other, or as the owner says when it knows better.
 *
 * `seen` is what the device may be shown of it. It never comes from an owner's answer: owners answer
 * `conflict` with the entity whoever asks, and a claimed base clock is no permission to read.
 */
export interface Standing {
  readonly revision: number;
  /** null: there is no such entity, or its owner keeps no clocks. */
  readonly clock: VectorClock | null;
  readonly deleted: boolean;
  /** What a decision needs; undefined when only the owner's word is known. Computed when asked for. */
  readonly state: () => EntityState | null | undefined;
  readonly seen: Seen;
}

/**
 * What the device may be shown: a head of the read model as it is (null: no such entity), with own changes
 * on top or without.
 */
export interface Seen {
  readonly head: EntityHead | null;
  readonly changed: boolean;
}

export function standingOfHead(head: EntityHead | null): Standing {
  const state = once(() => (head === null ? null : stateOfHead(head)));
  return {
    revision: head?.revision ?? 0,
    clock: head?.clock ?? null,
    deleted: head?.deleted ?? false,
    state,
    seen: { head, changed: false },
  };
}

/** As much of the state as a clean mutation is decided on; null when there is no such entity. */
export function bareState({ revision, clock, deleted }: Standing): EntityState | null {
  return clock === null ? null : { revision, clock, data: null, deleted, deletedData: null, fieldWrites: {} };
}

/** After the owner's `conflict`: its revision counts, its data stays with it. */
export function standingOfOwner(owner: OwnerState, seen: Seen): Standing {
  return {
    revision: owner.revision,
    clock: owner.revision === 0 ? {} : (owner.clock ?? null),
    deleted: owner.deleted,
    state: () => undefined,
    seen,
  };
}

/**
 * After the owner's `conflict`, where its answer may be shown: the entity as it projects into the
 * mutation's own scope, which its user holds. Only for decisions that need no more than clock and data; who
 * wrote which field, only the projection knows.
 *
 * @returns null where the gateway cannot tell: another scope, a projector that has to be asked, an owner
 * without clocks
 */
export function standingOfVisible(
  owner: OwnerState,
  registration: RegisteredEntityType,
  mutation: Pick<PreparedMutation, 'scope' | 'entityType' | 'entityId'>,
  seen: Seen,
): Standing | null {
  const { projection } = registration;
  const { revision, clock, deleted } = owner;
  if (projection.kind !== 'declarative' || clock === undefined) return null;
  const whole = owner.data as JsonObject | null;
  // A deleted entity has no scope any more: whoever saw it there may know that it is gone.
  const visible = deleted ? seen.head !== null : isShownIn(whole, { registration, mutation });
  if (!visible) return null;
  const data = whole === null ? null : chooseFields(whole, projection.fields);
  const state = { revision, clock, data, deleted, deletedData: null, fieldWrites: {} };
  return { revision, clock, deleted, state: () => state, seen: { head: seen.head, changed: true } };
}

/**
 * Whether an entity with this data is shown in the mutation's own scope, which its user holds; null where
 * only a projector knows.
 */
export function isShownIn(
  data: JsonObject | null,
  {
    registration,
    mutation,
  }: {
    readonly registration: Pick<RegisteredEntityType, 'projection'>;
    readonly mutation: Pick<PreparedMutation, 'scope' | 'entityType' | 'entityId'>;
  },
): boolean | null {
  const { projection } = registration;
  if (projection.kind !== 'declarative') return null;
  if (data === null) return false;
  return projection.scopes.some((source) => {
    const parsed = parseScopeTemplate(source);
    return parsed.ok && renderScope(parsed.template, data, mutation) === mutation.scope;
  });
}

/**
 * Where the entity stands once the owner was ahead of the read model. What is decided by fields waits for
 * the projection; where the server's value wins anyway, the owner's word is enough.
 */
export function standingAhead(
  { registration, mutation }: Pick<Work, 'registration' | 'mutation'>,
  owner: OwnerState,
  seen: Seen,
): Standing {
  const { comparesFields } = POLICIES[registration.policy];
  const visible = comparesFields ? null : standingOfVisible(owner, registration, mutation, seen);
  return visible ?? standingOfOwner(owner, seen);
}

/** After an own change was (or, optimistically, will be) applied. */
export function standingAfter(
  before: Standing,
  mutation: PreparedMutation,
  deviceId: string,
  change: SubmitDecision,
): Standing {
  const deleted = change.op === 'delete';
  return {
    revision: before.revision + 1,
    clock: change.clock,
    deleted,
    state: once(() => stateAfter(before.state(), mutation, deviceId, change)),
    seen: { head: before.seen.head, changed: true },
  };
}

/** The same entity, under the clock that its owner gave it. */
export function standingUnderClock(standing: Standing, clock: VectorClock): Standing {
  const state = once(() => {
    const planned = standing.state();
    return planned && { ...planned, clock };
  });
  return { ...standing, clock, state };
}

/**
 * The same entity, which is deleted. @param deletedData what it was before, where somebody knows
 */
export function standingWithDeleted(standing: Standing, deletedData: JsonObject | null): Standing {
  const state = once(() => {
    const known = standing.state();
    return known && { ...known, deletedData };
  });
  return { ...standing, state };
}

/**
 * Whether devices see what an owner made of a mutation's values as this data shows it.
 * @param data as the owner has it, null when it is deleted; undefined where it does not say
 */
export function canShowStored(
  data: OwnerState['data'] | undefined,
  work: Pick<Work, 'registration' | 'mutation'>,
): boolean {
  if (data === undefined || !canProject(work.registration)) return false;
  return data === null || isShownIn(data as JsonObject, work) === true;
}

/** The same entity, with what its owner made of the mutation's values, where that can be shown. */
export function standingWithStored(
  standing: Standing,
  data: OwnerState['data'],
  { registration }: Pick<Work, 'registration'>,
): Standing {
  const shown = data === null ? null : chooseFields(data as JsonObject, fieldsOf(registration));
  const deleted = data === null;
  const state = once(() => {
    const planned = standing.state();
    return planned && { ...planned, data: shown, deleted };
  });
  return { ...standing, deleted, state };
}

function stateAfter(
  before: EntityState | null | undefined,
  mutation: PreparedMutation,
  deviceId: string,
  change: SubmitDecision,
): EntityState | undefined {
  if (before === undefined) return undefined;
  const wasDeleted = before?.deleted ?? false;
  const data = dataAfter(before?.data ?? null, change);
  const previous = (wasDeleted ? (before?.deletedData ?? leftAsItWas(data, change)) : before?.data) ?? null;
  const write = writeIn(change.clock, mutationWrite(inputOf(mutation, deviceId)));
  const options = { wasDeleted, decided: change.fieldWrites };
  const fieldWrites = recordFieldWrites(before?.fieldWrites ?? {}, previous, data, write, options);
  return {
    revision: (before?.revision ?? 0) + 1,
    clock: change.clock,
    data,
    deleted: data === null,
    deletedData: data === null ? previous : null,
    fieldWrites,
  };
}

/**
 * Of an entity that a change brings back, what its decision did not write: that was there before the
 * deletion.
 */
function leftAsItWas(data: JsonObject | null, { fieldWrites }: SubmitDecision): JsonObject | null {
  if (data === null) return null;
  return Object.fromEntries(Object.entries(data).filter(([field]) => !Object.hasOwn(fieldWrites, field)));
}

function dataAfter(previous: JsonObject | null, { op, data }: SubmitDecision): JsonObject | null {
  if (op === 'delete') return null;
  if (op === 'merge') return previous ?? {};
  return op === 'patch' ? { ...previous, ...data } : (data ?? {});
}

/**
 * The entity as JSON text of a RemoteDelta, for an outcome's `current`.
 *
 * Without own changes it is the stored text byte for byte. With some, it is built from the state, unless
 * only the projection can know how devices see it (a document, a remote projector): then it is the last
 * state that the device could have pulled.
 */
export function currentText(
  standing: Standing,
  registration: RegisteredEntityType,
  entity: { readonly entityType: string; readonly entityId: string },
  nowIso: string,
): string {
  const { head, changed } = standing.seen;
  const state = changed && canProject(registration) ? standing.state() : undefined;
  if (state) return JSON.stringify(deltaOf(state, registration, entity, nowIso));
  return head?.wire ?? absentText(entity, registration.schemaVersion, nowIso);
}

/** Whether the gateway can tell how devices will see an entity of this type from its data alone. */
export function canProject({ policy, projection }: RegisteredEntityType): boolean {
  return !POLICIES[policy].hasDocument && projection.kind === 'declarative';
}

function deltaOf(
  state: EntityState,
  registration: RegisteredEntityType,
  { entityType, entityId }: { readonly entityType: string; readonly entityId: string },
  committedAt: string,
): RemoteDelta {
  return {
    entityType,
    entityId,
    op: state.deleted ? 'delete' : 'put',
    clock: state.clock,
    schemaVersion: registration.schemaVersion,
    committedAt,
    data: state.data === null ? null : chooseFields(state.data, fieldsOf(registration)),
  };
}

function fieldsOf({ projection }: RegisteredEntityType): '*' | readonly string[] {
  return projection.kind === 'declarative' ? projection.fields : '*';
}

function chooseFields(data: JsonObject, fields: '*' | readonly string[]): JsonObject {
  if (fields === '*') return data;
  return Object.fromEntries(Object.entries(data).filter(([field]) => fields.includes(field)));
}

function once<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => (known ??= { value: compute() }).value;
}
