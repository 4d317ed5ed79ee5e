import {
  type DomainChange,
  type JsonObject,
  type MergeReport,
  type ProjectionResult,
  projectEvent,
} from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';
import {
  counterOf,
  countChange,
  deviceReplica,
  dotIn,
  serviceReplica,
  type VectorClock,
} from '@sync/vector-clock';
import type { Refusal } from '../push/work.ts';
import type { DocumentMutation, TakenChange } from './document-keeper.ts';
import { type AlsoChange, type KnownType, ruleOf } from './entity-types.ts';
import { RefusedRequest } from './refused-request.ts';
import { keyOf } from './scope-log.ts';
import type { KeptEntity, Tenant } from './tenant.ts';

/** A change that was decided: what the entity becomes, and whose change it is. */
export interface EntityChange
  extends Pick<DomainChange, 'data' | 'occurredAtMs'>, Partial<Pick<DomainChange, 'decidedWrites'>> {
  readonly type: KnownType;
  readonly entityId: string;
  readonly clock: VectorClock;
  readonly mutation: { readonly clock: VectorClock; readonly deviceId: string } | null;
  /** Into which it goes where the type has no templates; also told of a deletion that nobody else sees. */
  readonly scope: string | null;
  readonly sent: KeptEntity['sent'];
  /** What a device asks of the document; null where a service makes the change. */
  readonly merge: DocumentMutation | null;
}

/** What came of a change; `met`: edits of a document that its device had not seen. */
export type Changed =
  { readonly kind: 'changed'; readonly met: MergeReport | null } | (Refusal & { readonly kind: 'rejected' });

/** Beyond them a document goes out whole, so that whoever begins anew gets no long row of increments. */
const MAX_INCREMENTS = 32;

/**
 * Makes a change: the entity, its deltas in every scope, and what it grants. There is nothing between owner
 * and devices here: what a change was answered with can be pulled at once.
 * @throws TypeError where nobody says into which scope it goes, RefusedRequest where it renders none
 */
export function changeEntity(tenant: Tenant, change: EntityChange): Changed {
  const { type, entityId } = change;
  const { entityType, service } = type;
  const key = keyOf(entityType, entityId);
  const before = tenant.entities.get(key)?.head ?? null;
  const scope = before?.scopes[0] ?? before?.leftScopes[0] ?? change.scope ?? '';
  if (scope === '' && type.scopes === null)
    throw new TypeError(`${entityType} ${entityId}: into which scope?`);
  const taken = takeDocument(tenant, change);
  if (taken?.kind === 'rejected') {
    if (taken.document) tenant.documents.set(key, taken.document);
    return taken;
  }
  const project = (data: JsonObject | null, isIncrement: boolean): ProjectionResult =>
    projectEvent(
      before,
      {
        ...{ entityType, entityId, revision: (before?.revision ?? 0) + 1, data, service, update: null },
        ...{ op: data === null ? 'delete' : 'put', clock: change.clock, occurredAtMs: change.occurredAtMs },
        mutationClock: change.mutation?.clock ?? null,
        mutationDeviceId: change.mutation?.deviceId ?? null,
        ...{ decidedWrites: change.decidedWrites ?? null, isIncrement },
      },
      ruleOf(type, scope),
    );
  const wantsIncrement = taken !== null && !taken.begins && !isLong(tenant, change, before?.scopes ?? []);
  const increment = wantsIncrement ? project(taken.increment, true) : null;
  const isIncrement = increment?.kind === 'changed';
  const result = isIncrement ? increment : project(taken ? taken.whole : change.data, false);
  if (result.kind !== 'changed') {
    const path = result.kind === 'poison' ? `${result.code} at ${result.path}` : result.kind;
    throw new RefusedRequest('schema_invalid', `${entityType} ${entityId} cannot be shown: ${path}`);
  }
  const { head } = result;
  tenant.entities.set(key, { entityType, entityId, head, sent: change.sent });
  const document = taken?.document ?? removedDocument(tenant, change);
  if (document) tenant.documents.set(key, document);
  const told = { entityType, entityId, schemaVersion: type.schemaVersion, committedAt: tenant.nowIso };
  const deltas = result.deltas.map(({ scope: to, op, data: shown, update }): [string, RemoteDelta] => {
    return [to, { ...told, op, clock: head.clock, data: shown, ...(update === null ? {} : { update }) }];
  });
  // Whoever deletes what nobody ever saw waits for a delta, too.
  const unseen = change.mutation && deltas.length === 0 && change.scope;
  if (unseen) deltas.push([unseen, { ...told, op: 'delete', clock: head.clock, data: null }]);
  for (const [to, delta] of deltas) tenant.log(to).append(delta, isIncrement && delta.op === 'merge');
  for (const granted of result.granted) tenant.grant(granted.scope, granted.userId, key);
  for (const revoked of result.revoked) tenant.withdraw(revoked.scope, revoked.userId, key);
  tenant.announce();
  return { kind: 'changed', met: taken?.met ?? null };
}

/** What the change makes of the entity’s document; null where there is none, or it goes. */
function takeDocument(tenant: Tenant, change: EntityChange): TakenChange | null {
  const { type, entityId, data, clock, merge } = change;
  if (!type.documents || data === null) return null;
  const deviceId = change.mutation?.deviceId;
  const replica = deviceId === undefined ? serviceReplica(type.service) : deviceReplica(deviceId);
  const dot = dotIn(clock, replica, counterOf(clock, replica));
  const before = tenant.documents.get(keyOf(type.entityType, entityId)) ?? null;
  return type.documents.take(before, { data, dot, mutation: merge });
}

function removedDocument(tenant: Tenant, { type, entityId, data }: EntityChange) {
  const before = tenant.documents.get(keyOf(type.entityType, entityId));
  return before && data === null ? type.documents?.remove(before) : undefined;
}

function isLong(tenant: Tenant, { type, entityId }: EntityChange, scopes: readonly string[]): boolean {
  return scopes.some((scope) => tenant.log(scope).countOf(type.entityType, entityId) > MAX_INCREMENTS);
}

/**
 * A change that a service makes itself, at once.
 * @param scope where the type has no templates
 * @throws RefusedRequest `not_found`; `schema_invalid` also for an update that the document does not take
 */
export function changeByService(
  tenant: Tenant,
  { entityType, entityId, data, ifAbsent = false }: AlsoChange,
  scope: string | null,
): void {
  const type = tenant.world.types.get(entityType);
  if (!type) throw new RefusedRequest('not_found', `There is no entity type ${entityType}`);
  const before = tenant.entity(entityType, entityId);
  if (before && !before.head.deleted ? ifAbsent : data === null) return;
  const changed = changeEntity(tenant, {
    ...{ type, entityId, scope, mutation: null, merge: null, sent: null, occurredAtMs: tenant.world.now() },
    data: data as JsonObject | null,
    clock: countChange(before?.head.clock ?? {}, serviceReplica(type.service)),
  });
  if (changed.kind === 'rejected')
    throw new RefusedRequest('schema_invalid', `${entityType} ${entityId}: ${changed.message}`);
}
