import type { ChangeResult, EntityData, Owner, ServerChange } from '@sync/owner-sdk';
import type { Database, Tx } from '@sync/postgres';
import { ProblemError } from '@sync/service-kit';
import type { OwnedEntity } from '../owning-service/owned-entity.ts';

export interface EntityToPut {
  readonly entityId: string;
  readonly data: EntityData;
}

/**
 * Changes on the server side: what an editor's or an administrator's screen would do in a company's service.
 */
export class ChangeEntities {
  private readonly database: Database;
  private readonly owner: Owner;
  private readonly entities: ReadonlyMap<string, OwnedEntity>;

  constructor(database: Database, owner: Owner, entities: readonly OwnedEntity[]) {
    this.database = database;
    this.owner = owner;
    this.entities = new Map(entities.map((entity) => [entity.definition.entityType, entity]));
  }

  /**
   * Creates or replaces entities, all or none.
   * @returns revisions in the order of `puts`; ids are distinct
   * @throws ProblemError `schema_invalid` naming entity and field, `not_found` for an entity type of another
   * service
   */
  async put(tenantId: string, entityType: string, puts: readonly EntityToPut[]): Promise<number[]> {
    const entity = this.entityOf(entityType);
    const made = await this.database.inTenant(tenantId, async (tx) => {
      const nowIso = new Date().toISOString();
      const ids = puts.map(({ entityId }) => entityId);
      const current = await this.owner.lock(tx, tenantId, entityType, ids);
      const changes = puts.flatMap((put, index) =>
        preparedChanges(entity, put, current.get(put.entityId) ?? null, { nowIso, index }),
      );
      return this.owner.change(tx, tenantId, changes);
    });
    this.owner.kick();
    return revisionsOf(made, entityType, puts);
  }

  /**
   * Deletes one entity.
   * @returns its revision after that
   * @throws ProblemError `not_found`
   */
  async delete(tenantId: string, entityType: string, entityId: string): Promise<number> {
    this.entityOf(entityType);
    const made = await this.database.inTenant(tenantId, (tx) =>
      this.deleteIn(tx, tenantId, entityType, entityId),
    );
    this.owner.kick();
    return revisionsOf(made, entityType, [{ entityId }])[0] ?? 0;
  }

  private async deleteIn(
    tx: Tx,
    tenantId: string,
    entityType: string,
    entityId: string,
  ): Promise<ChangeResult[]> {
    const current = await this.owner.lock(tx, tenantId, entityType, [entityId]);
    if (!current.has(entityId)) throw new ProblemError('not_found', `There is no ${entityType} ${entityId}`);
    return this.owner.change(tx, tenantId, [{ entityType, entityId, data: null }]);
  }

  private entityOf(entityType: string): OwnedEntity {
    const entity = this.entities.get(entityType);
    if (entity) return entity;
    const known = [...this.entities.keys()].join(', ');
    throw new ProblemError('not_found', `This service owns ${known} and no ${entityType}`);
  }
}

function preparedChanges(
  entity: OwnedEntity,
  put: EntityToPut,
  current: EntityData | null,
  { nowIso, index }: { readonly nowIso: string; readonly index: number },
): ServerChange[] {
  const prepared = entity.prepare(put.entityId, put.data, current, nowIso);
  if (!prepared.ok) {
    const [first] = prepared.faults;
    throw new ProblemError(
      'schema_invalid',
      `${put.entityId}: ${first?.path ?? ''} ${first?.message ?? 'is invalid'}`,
      {
        errors: prepared.faults.map(({ path, message }) => ({
          path: `/entities/${index}/data${path}`,
          message,
        })),
      },
    );
  }
  const { entityType } = entity.definition;
  return [{ entityType, entityId: put.entityId, data: prepared.data }, ...(prepared.also ?? [])];
}

function revisionsOf(
  made: readonly ChangeResult[],
  entityType: string,
  asked: readonly { readonly entityId: string }[],
): number[] {
  const revisions = new Map(
    made
      .filter((change) => change.entityType === entityType)
      .map((change) => [change.entityId, change.revision]),
  );
  return asked.map(({ entityId }) => revisions.get(entityId) ?? 0);
}
