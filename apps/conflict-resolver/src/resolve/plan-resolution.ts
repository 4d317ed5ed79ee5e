import { checkOp, type ConflictDraft, type JsonObject, type MutationOp } from '@sync/domain';
import type { AcceptedWords, PushedMutation, Resolution, ResolutionTarget } from '@sync/protocol';
import { derivedUuid } from '@sync/service-kit/derived-uuid';
import { canonicalClockJson, countChange, serviceReplica, type VectorClock } from '@sync/vector-clock';
import { hashJson } from '../history/hashes.ts';
import { acceptedWords } from '../suggestions/document-material.ts';
import type { ConflictRow } from '../records/conflict-store.ts';
import type { Claim } from './claim-store.ts';

/** A person's request, as the gateway passes it on. */
export interface ResolutionRequest {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly conflictId: string;
  readonly resolution: Resolution;
  readonly expectedClock: VectorClock;
  readonly target: ResolutionTarget | null;
}

/** What a resolution does to the entity. */
export interface EntityChange {
  readonly op: MutationOp;
  readonly data: JsonObject | null;
  readonly update: string | null;
  /** Of an accepted suggestion for lines of a document. */
  readonly words?: AcceptedWords;
}

/** Why a resolution cannot even be sent; `code` as an owner's would be. */
export interface PlanRefusal {
  readonly code: string;
  readonly message: string;
}

/**
 * Identifies a request: who asks for what on which state. The same again is a repetition, anything else
 * another claim.
 */
export function requestHashOf(request: ResolutionRequest): string {
  const { userId, deviceId, resolution, expectedClock } = request;
  const { kind, data = null, update = null, suggestionId = null } = resolution;
  return hashJson({
    userId,
    deviceId,
    resolution: { kind, data: data as JsonObject | null, update, suggestionId },
    expectedClock: canonicalClockJson(expectedClock),
  });
}

/**
 * What `keep_client` and `merged` do. `keep_client` carries the mutation out as it was sent: the person has
 * seen what it ran into.
 * @throws never; a draft without its op (from before ops were recorded) sets the fields that it names
 */
export function changeOf(draft: ConflictDraft, resolution: Resolution): EntityChange {
  if (resolution.kind === 'merged') {
    const { data, update } = resolution;
    return update === undefined
      ? { op: 'put', data: data as JsonObject, update: null }
      : { op: 'merge', data: null, update };
  }
  if (draft.theirsUpdate !== null) return { op: 'merge', data: null, update: draft.theirsUpdate };
  // As the present schema version has it, which is the one that is sent; the record shows what the device
  // wrote.
  const data = draft.theirsLifted ?? draft.theirs;
  if (data === null) return { op: 'delete', data, update: null };
  return { op: draft.op ?? 'patch', data, update: null };
}

/** A suggestion for lines of a document: its owner finds their places, and writes them as a model's. */
export function suggestedWords(
  draft: ConflictDraft,
  suggestionId: string,
  proposed: JsonObject,
): EntityChange {
  return { op: 'merge', data: null, update: null, words: acceptedWords(draft, suggestionId, proposed) };
}

/**
 * A suggestion's changes: only the fields it names, unless it takes some away, for which only `put` has a
 * way.
 */
export function suggestedChange(
  present: JsonObject | null,
  { set, remove }: { readonly set: JsonObject; readonly remove: readonly string[] },
): EntityChange {
  if (present !== null && remove.length === 0) return { op: 'patch', data: set, update: null };
  const kept = Object.entries({ ...present, ...set }).filter(([field]) => !remove.includes(field));
  return { op: 'put', data: Object.fromEntries(kept), update: null };
}

/**
 * The mutation that goes to the owner. Its id follows from the conflict, the request and the attempt, so that
 * the owner's inbox knows a repetition whoever sends it. It counts as a change of the owning service: its
 * clock has no entry of the device, whose next counter may belong to a mutation that is still on its way.
 * @param attempt how many claims the record had before: after a refusal the owner is asked anew
 */
export function pushOf(
  row: ConflictRow,
  request: ResolutionRequest & { readonly target: ResolutionTarget },
  change: EntityChange,
  { attempt, nowIso }: { readonly attempt: number; readonly nowIso: string },
): PushedMutation | PlanRefusal {
  const { target, userId, deviceId } = request;
  const refusal = checkOp(target.policy, change.op);
  if (refusal) return { code: refusal, message: `${target.policy} does not know ${change.op}` };
  // The update of a record carries clientIDs that belong to the device which wrote it.
  const isAsSent = request.resolution.kind === 'keep_client' && change.update !== null;
  const seed = ['resolution', row.conflictId, requestHashOf(request), String(attempt)].join('\0');
  return {
    mutationId: derivedUuid(seed),
    userId,
    deviceId: isAsSent ? row.deviceId : deviceId,
    scope: row.scope,
    entityType: row.entityType,
    entityId: row.entityId,
    op: change.op,
    data: change.data,
    ...(change.words === undefined ? {} : { suggestion: change.words }),
    ...(change.update === null ? {} : { update: change.update, baseClock: { ...target.clock } }),
    clock: { ...target.clock },
    expectedRevision: target.revision,
    occurredAt: nowIso,
    schemaVersion: target.schemaVersion,
  };
}

/**
 * The entity's clock after a resolution of an owner that keeps none: the projector counts it as a change of
 * the service, and so is it said here.
 */
export function clockWithout({ mutation, service }: Pick<Claim, 'mutation' | 'service'>): VectorClock {
  return countChange(mutation.clock, serviceReplica(service));
}
