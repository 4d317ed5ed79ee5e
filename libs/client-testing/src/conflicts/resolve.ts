import { type JsonObject, checkOp } from '@sync/domain';
import {
  type ConflictDecision,
  type ConflictRecord,
  LIMITS,
  type Resolution,
  ResolveConflictRequest,
  validator,
} from '@sync/protocol';
import { canonicalClockJson, countChange, serviceReplica } from '@sync/vector-clock';
import { changeByService, changeEntity } from '../server/change-entity.ts';
import { decodeBody, refuseUnstorable } from '../server/decode-body.ts';
import type { Device } from '../server/device.ts';
import type { HandledMutation, KnownType } from '../server/entity-types.ts';
import { uuidOf } from '../server/hashes.ts';
import { RefusedRequest, refusePath } from '../server/refused-request.ts';
import type { KeptRecord, Tenant } from '../server/tenant.ts';
import { plainData, refuseLarge } from '../push/carry-out.ts';
import { fieldsOf, hashOf, note, recordFor } from './records.ts';

const checkRequest = validator(ResolveConflictRequest);
/** Later refusals are in no history (CONFLICT-11). */
const MAX_NOTED_REFUSALS = 100;

/** @throws RefusedRequest `not_found`: of another user, or there is none (CONFLICT-4) */
export function ownRecord(tenant: Tenant, device: Device, conflictId: string): KeptRecord {
  const kept = tenant.records.get(conflictId.toLowerCase());
  if (kept?.record.userId !== device.userId)
    throw new RefusedRequest('not_found', 'There is no such conflict');
  return kept;
}

/** @throws RefusedRequest as CONFLICT-4 to 13 say */
export function resolveConflict(tenant: Tenant, device: Device, sent: unknown): ConflictRecord {
  const { conflictId, resolution, expectedClock } = decodeBody(checkRequest, sent);
  checkResolution(resolution);
  refuseUnstorable(sent);
  const kept = ownRecord(tenant, device, conflictId);
  const request = JSON.stringify([device.deviceId, resolution, canonicalClockJson(expectedClock)]);
  if (kept.record.status !== 'open') {
    if (kept.resolvedBy === request) return recordFor(tenant, kept.record);
    throw new RefusedRequest('conflict_already_resolved', 'Somebody resolved it before', {
      extra: { conflict: recordFor(tenant, kept.record) },
    });
  }
  const { scope } = kept.record;
  if (resolution.kind !== 'keep_server') {
    if (!tenant.holds(device.userId, scope))
      throw refused('scope_not_held', `/scope: the user does not hold "${scope}"`);
    const current = tenant.shown(device.userId, kept.record);
    if (canonicalClockJson(current.clock) !== canonicalClockJson(expectedClock))
      throw new RefusedRequest('conflict_moved', 'The entity is not at expectedClock any more', {
        extra: { current },
      });
  }
  if (resolution.kind === 'accept_suggestion')
    throw new RefusedRequest('suggestion_not_ready', 'There is no such suggestion');
  const decision = decisionOf(tenant, device, kept, resolution);
  const decider = { kind: 'person', userId: device.userId, deviceId: device.deviceId } as const;
  const resolved = { status: 'resolved', decision, decider, resolvedAt: tenant.nowIso } as const;
  kept.record = { ...kept.record, ...resolved, fields: fieldsOf(kept.draft, decision) };
  kept.resolvedBy = request;
  note(tenant, kept.record.conflictId, 'resolved', decider, {
    ...{ kind: resolution.kind, decision: hashOf(decision as JsonObject) },
  });
  return recordFor(tenant, kept.record);
}

/** What the schema cannot say: which kind of resolution brings what, and how large it may be. */
function checkResolution({ kind, data, update, suggestionId }: Resolution): void {
  if (kind === 'accept_suggestion' && suggestionId === undefined)
    refusePath('/resolution/suggestionId', 'accept_suggestion names a suggestion');
  if (kind !== 'merged') return;
  if (data === undefined && update === undefined)
    refusePath('/resolution/data', 'merged needs data or an update');
  if (data !== undefined && update !== undefined)
    refusePath('/resolution/update', 'merged has data or an update, not both');
  if (update === '') refusePath('/resolution/update', 'an update has bytes');
  if (new TextEncoder().encode(JSON.stringify(data ?? null)).length > LIMITS.mutationBytes) {
    const errors = [{ path: '/resolution/data', message: `larger than ${LIMITS.mutationBytes} bytes` }];
    throw new RefusedRequest('limit_exceeded', '/resolution/data is too large', { errors });
  }
}

const refused = (ownerCode: string, message: string): RefusedRequest =>
  new RefusedRequest('resolution_rejected', message, { extra: { ownerCode } });

/** Carries the resolution out, as a change of the owning service (CONFLICT-9). */
function decisionOf(
  tenant: Tenant,
  device: Device,
  kept: KeptRecord,
  resolution: Resolution,
): ConflictDecision {
  const { kind } = resolution;
  if (kind === 'keep_server') return { kind };
  const { record } = kept;
  const type = tenant.world.types.get(record.entityType);
  if (!type) throw refused('entity_type_unknown', 'Nobody owns it any more');
  const { op, data, update = null } = changeOf(kept, resolution);
  const head = tenant.entity(record.entityType, record.entityId)?.head;
  const clock = countChange(head?.clock ?? {}, serviceReplica(type.service));
  const mutationId = uuidOf(`resolution\0${record.conflictId}\0${device.deviceId}\0${record.history.length}`);
  const { entityType, entityId, scope } = record;
  const address = { entityType, entityId, scope, mutationId };
  const handled = { ...address, op, data, clock: { ...head?.clock }, ...(update === null ? {} : { update }) };
  const answer = askOwner(tenant, device, type, { ...handled, expectedRevision: head?.revision ?? 0 });
  const change = {
    type,
    entityId,
    clock,
    scope,
    mutation: null,
    sent: null,
    occurredAtMs: tenant.world.now(),
  };
  // An update of a record is under clientIDs of the device that wrote it.
  const deviceId = kind === 'keep_client' && update !== null ? record.deviceId : device.deviceId;
  const merge = { mutationId, userId: device.userId, deviceId, op, update, baseClock: { ...head?.clock } };
  const changed =
    answer.kind === 'rejected'
      ? answer
      : changeEntity(tenant, { ...change, merge, data: answer.data as JsonObject | null });
  if (changed.kind === 'rejected') {
    if (record.history.length < MAX_NOTED_REFUSALS) {
      const who = { kind: 'person', userId: device.userId, deviceId: device.deviceId } as const;
      note(tenant, record.conflictId, 'resolution_rejected', who, { kind, code: changed.code });
    }
    throw refused(changed.code, changed.message || changed.code);
  }
  for (const also of (answer.kind === 'accepted' && answer.also) || []) changeByService(tenant, also, scope);
  const written = update === null ? {} : { update };
  return { kind, mutationId, clock, op, ...(data === null ? {} : { data }), ...written };
}

function changeOf(
  { draft }: KeptRecord,
  { kind, data, update }: Resolution,
): Pick<HandledMutation, 'op' | 'data' | 'update'> {
  if (kind === 'merged' && data !== undefined) return { op: 'put', data };
  const written = kind === 'merged' ? update : (draft.theirsUpdate ?? undefined);
  if (written !== undefined) return { op: 'merge', data: null, update: written };
  const theirs = draft.theirsLifted ?? draft.theirs;
  return theirs === null ? { op: 'delete', data: null } : { op: draft.op ?? 'patch', data: { ...theirs } };
}

function askOwner(
  tenant: Tenant,
  { userId, deviceId }: Device,
  type: KnownType,
  mutation: Omit<HandledMutation, 'occurredAt' | 'schemaVersion' | 'userId' | 'deviceId'>,
) {
  const wrong = checkOp(type.policy, mutation.op);
  if (wrong)
    return { kind: 'rejected', code: wrong, message: `${type.policy} knows no ${mutation.op}` } as const;
  const { tenantId, nowIso } = tenant;
  const current = plainData(type, tenant.entity(type.entityType, mutation.entityId)?.head.data ?? null);
  const { schemaVersion } = type;
  const asked = { ...mutation, userId, deviceId, occurredAt: nowIso, schemaVersion };
  return refuseLarge(type.handle(asked, current, { tenantId, userId, deviceId, nowIso }));
}
