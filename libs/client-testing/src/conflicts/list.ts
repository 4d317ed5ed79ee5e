import { type ConflictRecord, ConflictStatus, ENTITY_TYPE_PATTERN } from '@sync/protocol';
import { RefusedRequest, refusePath } from '../server/refused-request.ts';
import { macOf } from '../server/hashes.ts';
import type { Tenant } from '../server/tenant.ts';

const MAX_PAGE = 500;
const DEFAULT_PAGE = 50;
const MAX_FIELDS = 20;

/** A page of somebody's conflicts, newest first (CONFLICT-3). */
export function listConflicts(tenant: Tenant, userId: string, query: URLSearchParams) {
  const limit = limitOf(query.get('limit'));
  const status = query.get('status');
  if (status !== null && !(ConflictStatus.enum as readonly string[]).includes(status))
    refusePath('/status', 'is no status');
  const entityType = query.get('entityType');
  if (entityType !== null && !new RegExp(ENTITY_TYPE_PATTERN).test(entityType))
    refusePath('/entityType', 'is no entity type');
  const before = placeOf(tenant, query.get('cursor'));
  const own = [...tenant.records.values()]
    .map(({ record }, place) => ({ record, place }))
    .filter(({ record, place }) => record.userId === userId && (before === null || place < before))
    .filter(({ record }) => status === null || record.status === status)
    .filter(({ record }) => entityType === null || record.entityType === entityType)
    .reverse();
  const page = own.slice(0, limit);
  const last = page.at(-1)?.place;
  const next = own.length > limit && last !== undefined ? cursorOf(tenant, last) : null;
  return { conflicts: page.map(({ record }) => summaryOf(record)), next };
}

function limitOf(text: string | null): number {
  const limit = text === null ? DEFAULT_PAGE : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE)
    refusePath('/limit', `is none of 1 to ${MAX_PAGE}`);
  return limit;
}

function cursorOf({ world, tenantId }: Tenant, place: number): string {
  return `${place}.${macOf(world.secret, `conflicts\0${tenantId}\0${place}`).slice(0, 32)}`;
}

function placeOf(tenant: Tenant, cursor: string | null): number | null {
  if (cursor === null) return null;
  const place = Number(cursor.split('.')[0]);
  if (cursorOf(tenant, place) === cursor) return place;
  throw new RefusedRequest('cursor_invalid', '/cursor: not a cursor of this list', {
    errors: [{ path: '/cursor', message: 'not a cursor of this list' }],
  });
}

function summaryOf(record: ConflictRecord) {
  const { conflictId, status, policy, entityType, entityId, scope, userId, deviceId, mutationId } = record;
  return {
    ...{ conflictId, status, policy, entityType, entityId, scope, userId, deviceId, mutationId },
    fields: record.fields.slice(0, MAX_FIELDS).map(({ field }) => field),
    detectedAt: record.detectedAt,
    resolvedAt: record.resolvedAt,
    resolution: record.decision?.kind ?? null,
  };
}
