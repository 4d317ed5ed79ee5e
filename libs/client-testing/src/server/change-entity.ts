import { type DomainChange, type JsonObject, projectEvent } from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';
import { countChange, serviceReplica, type VectorClock } from '@sync/vector-clock';
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
}

/**
 * Makes a change: the entity, its deltas in every scope, and what it grants. There is nothing between owner
 * and devices here: what a change was answered with can be pulled at once.
 * @throws TypeError where nobody says into which scope it goes, RefusedRequest where it renders none
 */
export function changeEntity(tenant: Tenant, change: EntityChange): void {
  const { type, entityId, data } = change;
  const { entityType, service } = type;
  const key = keyOf(entityType, entityId);
  const before = tenant.entities.get(key)?.head ?? null;
  const scope = before?.scopes[0] ?? before?.leftScopes[0] ?? change.scope ?? '';
  if (scope === '' && type.scopes === null)
    throw new TypeError(`${entityType} ${entityId}: into which scope?`);
  const result = projectEvent(
    before,
    {
      ...{ entityType, entityId, revision: (before?.revision ?? 0) + 1, data, service, update: null },
      ...{ op: data === null ? 'delete' : 'put', clock: change.clock, occurredAtMs: change.occurredAtMs },
      mutationClock: change.mutation?.clock ?? null,
      mutationDeviceId: change.mutation?.deviceId ?? null,
      decidedWrites: change.decidedWrites ?? null,
    },
    ruleOf(type, scope),
  );
  if (result.kind !== 'changed') {
    const path = result.kind === 'poison' ? `${result.code} at ${result.path}` : result.kind;
    throw new RefusedRequest('schema_invalid', `${entityType} ${entityId} cannot be shown: ${path}`);
  }
  const { head } = result;
  tenant.entities.set(key, { entityType, entityId, head, sent: change.sent });
  const told = { entityType, entityId, schemaVersion: type.schemaVersion, committedAt: tenant.nowIso };
  const deltas = result.deltas.map(({ scope: to, op, data: shown }): [string, RemoteDelta] => {
    return [to, { ...told, op, clock: head.clock, data: shown }];
  });
  // Whoever deletes what nobody ever saw waits for a delta, too.
  const unseen = change.mutation && deltas.length === 0 && change.scope;
  if (unseen) deltas.push([unseen, { ...told, op: 'delete', clock: head.clock, data: null }]);
  for (const [to, delta] of deltas) tenant.log(to).append(delta);
  for (const granted of result.granted) tenant.grant(granted.scope, granted.userId, key);
  for (const revoked of result.revoked) tenant.withdraw(revoked.scope, revoked.userId, key);
  tenant.announce();
}

/** A change that a service makes itself, at once. @param scope where the type has no templates */
export function changeByService(
  tenant: Tenant,
  { entityType, entityId, data, ifAbsent = false }: AlsoChange,
  scope: string | null,
): void {
  const type = tenant.world.types.get(entityType);
  if (!type) throw new RefusedRequest('not_found', `There is no entity type ${entityType}`);
  const before = tenant.entity(entityType, entityId);
  if (before && !before.head.deleted ? ifAbsent : data === null) return;
  changeEntity(tenant, {
    ...{ type, entityId, scope, mutation: null, sent: null, occurredAtMs: tenant.world.now() },
    data: data as JsonObject | null,
    clock: countChange(before?.head.clock ?? {}, serviceReplica(type.service)),
  });
}
