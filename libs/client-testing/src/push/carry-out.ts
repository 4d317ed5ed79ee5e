import {
  type Decision,
  type EntityState,
  type JsonObject,
  type MutationInput,
  POLICIES,
  type SubmitDecision,
  believed,
  decide,
  deepEqualJson,
  mutationWrite,
  namedWrites,
  readField,
  recordOverlaps,
  recordRefused,
  repeatingWrites,
} from '@sync/domain';
import { OUTCOME_CODES } from '@sync/protocol';
import { type VectorClock, counterOf, countChange, deviceReplica, serviceReplica } from '@sync/vector-clock';
import { changeByService, changeEntity } from '../server/change-entity.ts';
import { keepRecord } from '../conflicts/records.ts';
import type { DocumentMutation } from '../server/document-keeper.ts';
import type { HandledMutation, HandlerAnswer, KnownType, TestData } from '../server/entity-types.ts';
import type { Ended, Tenant } from '../server/tenant.ts';
import { liftWork } from './lift.ts';
import type { Refusal, Work } from './work.ts';

/** As JSON; what is larger fits no message of the platform. */
const MAX_ENTITY_BYTES = 720 * 1024;
const STATUS_OF = { supersede: 'superseded', reject: 'rejected', hold: 'conflict' } as const;

/** Decides a mutation whose turn it is, and carries it out. */
export function carryOut(tenant: Tenant, came: Work): Ended {
  const type = tenant.world.types.get(came.mutation.entityType);
  if (!type) throw new Error(`${came.mutation.entityType} was admitted, and is no type`);
  const lifted = liftWork(tenant, type, came);
  if ('code' in lifted) return rejected(lifted);
  const head = headOf(tenant, lifted);
  if (head && !isInSight(tenant, lifted)) {
    const refused = { code: 'forbidden', message: '/entityId: it is taken' };
    return { ...rejected(refused), ...lost(tenant, lifted) };
  }
  if (POLICIES[type.policy].isWrittenOnce) return append(tenant, type, lifted);
  const decision = decide({
    ...{ mutation: inputOf(lifted), current: head, policy: type.policy, review: type.review },
    serverNowMs: tenant.world.now(),
  });
  if (decision.kind === 'submit') return submit(tenant, type, lifted, decision);
  return endWithout(tenant, lifted, decision);
}

const headOf = (tenant: Tenant, { mutation }: Work) =>
  tenant.entity(mutation.entityType, mutation.entityId)?.head ?? null;

/** An entity of another scope says no more than that its id is taken (PUSH-15). */
function isInSight(tenant: Tenant, { mutation: { entityType, entityId, scope } }: Work): boolean {
  return tenant.log(scope).find(entityType, entityId) !== undefined;
}

/** The mutation as decisions see it. */
export function inputOf({ mutation, deviceId, counter, occurredAtMs }: Work): MutationInput {
  const { mutationId, entityType, entityId, op, baseClock, update = null, schemaVersion = 1 } = mutation;
  const carriesData = op !== 'delete' && op !== 'merge';
  return {
    ...{ mutationId, deviceId, entityType, entityId, op, baseClock, occurredAtMs, schemaVersion },
    data: carriesData ? ((mutation.data ?? null) as JsonObject | null) : null,
    update: op === 'merge' ? update : null,
    ...(counter > counterOf(baseClock, deviceReplica(deviceId)) + 1 && { counter }),
  };
}

function endWithout(tenant: Tenant, work: Work, decision: Exclude<Decision, SubmitDecision>): Ended {
  const told =
    decision.kind === 'reject' ? { code: decision.code, message: OUTCOME_CODES[decision.code] } : {};
  return { status: STATUS_OF[decision.kind], ...told, ...keepRecord(tenant, work, decision.record) };
}

function ask(
  tenant: Tenant,
  type: KnownType,
  work: Work,
  change: Pick<SubmitDecision, 'op' | 'data' | 'expectedRevision'>,
): HandlerAnswer {
  const { mutation, userId, deviceId, clock, occurredAtMs } = work;
  const { mutationId, scope, entityType, entityId } = mutation;
  const handled: HandledMutation = {
    ...{ mutationId, userId, deviceId, scope, entityType, entityId, clock: { ...clock } },
    ...{ op: change.op, data: change.data },
    expectedRevision: change.expectedRevision,
    occurredAt: new Date(occurredAtMs).toISOString(),
    schemaVersion: type.schemaVersion,
    ...(mutation.update === undefined ? {} : { update: mutation.update }),
  };
  const current = plainData(type, headOf(tenant, work)?.data ?? null);
  const { tenantId, nowIso } = tenant;
  return refuseLarge(type.handle(handled, current, { tenantId, userId, deviceId, nowIso }));
}

/** What a handler sees of an entity. */
export function plainData({ documents }: KnownType, data: JsonObject | null): TestData | null {
  if (!documents || !data) return data;
  const { [documents.epochField]: _epoch, ...plain } = data;
  return plain;
}

export function refuseLarge(answer: HandlerAnswer): HandlerAnswer {
  if (answer.kind === 'rejected') return answer;
  const bytes = new TextEncoder().encode(JSON.stringify(answer.data)).length;
  if (bytes <= MAX_ENTITY_BYTES) return answer;
  const message = `An entity has at most ${MAX_ENTITY_BYTES} bytes as JSON`;
  return { kind: 'rejected', code: 'data_too_large', message };
}

/** An id is new, or has this record already, or another one (POLICY-1). */
function append(tenant: Tenant, type: KnownType, work: Work): Ended {
  const change = { op: 'append', data: inputOf(work).data, expectedRevision: 0 } as const;
  const answer = ask(tenant, type, work, change);
  if (answer.kind === 'rejected') return rejected(answer);
  const { entityType, entityId, scope } = work.mutation;
  const kept = tenant.entity(entityType, entityId);
  const data = answer.data as JsonObject;
  if (!kept) {
    const clock = countChange({}, deviceReplica(work.deviceId), work.counter);
    const mutation = { clock, deviceId: work.deviceId };
    const sent = { userId: work.userId, identity: dataOf(work) };
    changeEntity(tenant, {
      ...{ type, entityId, data, clock, mutation, scope, sent, merge: null },
      occurredAtMs: work.occurredAtMs,
    });
    for (const also of answer.also ?? []) changeByService(tenant, also, scope);
    return stands(work, data) ? { status: 'applied', clock } : { status: 'merged', clock };
  }
  const { head, sent } = kept;
  const isSame = sent?.userId === work.userId && (sent.identity === dataOf(work) || stands(work, head.data));
  if (isSame) return { status: stands(work, head.data) ? 'applied' : 'merged', clock: head.clock };
  const refused = { code: 'entity_exists', message: 'This id is taken by an entity with other content' };
  return { ...rejected(refused), ...lost(tenant, work) };
}

/** Of an identity what tells of its data. */
const dataOf = ({ identity }: Work): string => identity.slice(40);

function submit(tenant: Tenant, type: KnownType, work: Work, decision: SubmitDecision): Ended {
  const head = headOf(tenant, work);
  const answer = ask(tenant, type, work, decision);
  if (answer.kind === 'rejected') return refused(tenant, work, decision, answer);
  const counted = count(type, work, head?.clock ?? {});
  if (counted === null) {
    const message = OUTCOME_CODES.clock_limit_exceeded;
    return { ...rejected({ code: 'clock_limit_exceeded', message }), ...lost(tenant, work) };
  }
  const data = answer.data as JsonObject | null;
  const { entityId, scope } = work.mutation;
  const { deviceId, occurredAtMs } = work;
  const { clock, brings } = counted;
  const changed = changeEntity(tenant, {
    ...{ type, entityId, data, clock, scope, occurredAtMs, sent: null, merge: mergeOf(work) },
    mutation: brings ? { clock: head ? work.clock : clock, deviceId } : null,
    decidedWrites: head && brings ? carriedWrites(work, decision, head, data) : null,
  });
  if (changed.kind === 'rejected') return refused(tenant, work, decision, changed);
  for (const also of answer.also ?? []) changeByService(tenant, also, scope);
  const merged = { ...inputOf(work), clock: work.clock };
  const met = changed.met && recordOverlaps({ ...type, mutation: merged }, changed.met, head?.clock ?? {});
  const kept = keepRecord(tenant, work, decision.record ?? met);
  const asSent = decision.status === 'applied' && standsAs(decision, data);
  return { status: asSent ? 'applied' : 'merged', clock, ...kept };
}

/** What was merged, and what builds on what is not there, did not lose by itself (POLICY-8). */
function refused(tenant: Tenant, work: Work, { op, status }: SubmitDecision, refusal: Refusal): Ended {
  const head = headOf(tenant, work);
  const mayLackRest = op === 'patch' && (head === null || head.deleted);
  const keeps = status === 'merged' || mayLackRest || op === 'merge';
  return { ...rejected(refusal), ...(keeps ? lost(tenant, work) : {}) };
}

/** A mutation as documents see it. */
function mergeOf({ mutation, userId, deviceId }: Work): DocumentMutation {
  const { mutationId, op, baseClock, update = null } = mutation;
  return { mutationId, userId, deviceId, op, baseClock, update };
}

/** What travels of a decision: of a clean mutation nothing but itself, and then only repetitions. */
function carriedWrites(work: Work, decision: SubmitDecision, head: EntityState, data: JsonObject | null) {
  const asSent = decision.status === 'applied';
  const decided = asSent ? namedWrites(decision, mutationWrite(inputOf(work))) : decision.fieldWrites;
  return repeatingWrites(decided, head.data, data);
}

/** The entity's clock with the mutation; null where a counter cannot go higher. */
function count(
  { service }: KnownType,
  { counter, deviceId }: Work,
  before: VectorClock,
): { readonly clock: VectorClock; readonly brings: boolean } | null {
  const device = deviceReplica(deviceId);
  const brings = counter > counterOf(before, device);
  try {
    const clock = brings
      ? countChange(before, device, counter)
      : countChange(before, serviceReplica(service));
    return { clock, brings };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const stands = (work: Work, data: JsonObject | null): boolean => standsAs(inputOf(work), data);

/** Whether all that was sent stands; what a service adds to it changes nothing of it. */
function standsAs({ op, data: sent }: Pick<MutationInput, 'op' | 'data'>, data: JsonObject | null): boolean {
  if (op === 'delete' || data === null) return (op === 'delete') === (data === null);
  return Object.entries(sent ?? {}).every(([field, value]) => deepEqualJson(readField(data, field), value));
}

/** The record of what was refused although nothing is wrong with it by itself. */
export function lost(tenant: Tenant, work: Work): Pick<Ended, 'conflictId'> {
  const { entityType, scope } = work.mutation;
  const policy = tenant.world.types.get(entityType)?.policy;
  if (!policy) return {};
  // What its user may not see is in no record of theirs.
  const head = isInSight(tenant, work) && tenant.holds(work.userId, scope) ? headOf(tenant, work) : null;
  const input = inputOf(work);
  const mutation = head ? believed(input, head.clock) : input;
  return keepRecord(tenant, work, recordRefused({ mutation, policy }, head));
}

export function rejected({ code, message }: Refusal): Ended {
  return { status: 'rejected', code, message: message.slice(0, 1_000) };
}
