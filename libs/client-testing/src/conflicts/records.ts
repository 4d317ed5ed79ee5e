import { type ConflictDraft, type JsonObject, canonicalJson, readField } from '@sync/domain';
import {
  CONFLICT_ENTITY_TYPE,
  type ConflictDecider,
  type ConflictDecision,
  type ConflictRecord,
  type RemoteDelta,
  decidedFields,
  withoutServerSide,
} from '@sync/protocol';
import { changeByService } from '../server/change-entity.ts';
import { sha256Hex, uuidOf } from '../server/hashes.ts';
import type { Ended, Tenant } from '../server/tenant.ts';
import type { Work } from '../push/work.ts';

/** Keeps what lost, once (POLICY-8). @param draft null: nothing did */
export function keepRecord(
  tenant: Tenant,
  work: Work,
  draft: ConflictDraft | null,
): Pick<Ended, 'conflictId'> {
  if (!draft) return {};
  const { mutation, sentData, userId, deviceId } = work;
  const { mutationId, scope, entityType, entityId, op } = mutation;
  const conflictId = uuidOf(`conflict\0${tenant.tenantId}\0${mutationId}`);
  const lifted = sentData && draft.theirs ? { theirsLifted: draft.theirs } : {};
  const sent = sentData ? { theirs: sentData as JsonObject } : {};
  const kept: ConflictDraft = { ...draft, op, ...sent, ...lifted };
  const isOpen = draft.decision === 'open';
  const at = tenant.nowIso;
  const record: ConflictRecord = {
    ...{ conflictId, userId, deviceId, mutationId, scope, entityType, entityId, op, policy: draft.policy },
    ...{ base: kept.base, baseUnknown: [...(kept.baseUnknown ?? [])], ours: kept.ours, theirs: kept.theirs },
    ...{ ...(lifted as Pick<ConflictRecord, 'theirsLifted'>), theirsUpdate: kept.theirsUpdate },
    status: isOpen ? 'open' : 'auto_resolved',
    clocks: { ours: { ...kept.clockOurs }, theirs: { ...kept.clockTheirs } },
    fields: fieldsOf(kept, null),
    blocks: [...(kept.blocks ?? [])],
    decision: isOpen ? null : { kind: 'policy' },
    decider: isOpen ? null : { kind: 'policy', policy: draft.policy },
    ...{ detectedAt: at, resolvedAt: isOpen ? null : at, history: [], suggestions: [] },
  };
  tenant.records.set(conflictId, { record, draft: kept, resolvedBy: null });
  note(
    tenant,
    conflictId,
    'detected',
    { kind: 'person', userId, deviceId },
    {
      ...{ status: record.status, draft: hashOf(kept as unknown as JsonObject) },
    },
  );
  return { conflictId };
}

export const hashOf = (value: JsonObject): string => sha256Hex(canonicalJson(value));

/** The differing fields with their values in the base, and what was decided about them (CONFLICT-17). */
export function fieldsOf(draft: ConflictDraft, decision: ConflictDecision | null): ConflictRecord['fields'] {
  return decidedFields(draft, decision).map((field) => {
    const base = draft.base === null ? undefined : readField(draft.base, field.field);
    return base === undefined ? { ...field } : { ...field, base };
  });
}

/** Adds a link to the tenant's history (CONFLICT-15), and shows the record to its user. */
export function note(
  tenant: Tenant,
  conflictId: string,
  what: string,
  who: ConflictDecider,
  facts: JsonObject,
): void {
  const kept = tenant.records.get(conflictId);
  if (!kept) return;
  const previous = tenant.history.at(-1)?.hash ?? '';
  const link = { conflictId, at: tenant.nowIso, what, who, facts, previous };
  const entry = { ...link, hash: hashOf(link) };
  tenant.history.push(entry);
  kept.record = { ...kept.record, history: [...kept.record.history, entry] };
  changeByService(
    tenant,
    { entityType: CONFLICT_ENTITY_TYPE, entityId: conflictId, data: kept.record },
    null,
  );
}

/** A record without the server's side where its user does not hold the scope of its entity (CONFLICT-18). */
export function recordFor(tenant: Tenant, record: ConflictRecord): ConflictRecord {
  return tenant.holds(record.userId, record.scope) ? record : withoutServerSide(record);
}

/** A delta as a user may see it now. */
export function shownTo(tenant: Tenant, userId: string, delta: RemoteDelta): RemoteDelta {
  if (delta.entityType !== CONFLICT_ENTITY_TYPE || delta.data === null) return delta;
  const record = delta.data as unknown as ConflictRecord;
  return tenant.holds(userId, record.scope) ? delta : { ...delta, data: { ...withoutServerSide(record) } };
}
