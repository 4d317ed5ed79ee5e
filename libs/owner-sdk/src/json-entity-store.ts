import { arrayText, jsonArray, tenantPolicySql, type Tx } from '@sync/postgres';
import type { EntityData, EntityStore, StoredRow } from './entity-store.ts';

const TABLE_NAME = /^[a-z][a-z0-9_]{0,40}$/;

/**
 * A store for services that keep an entity as one JSON column: `load` and `store` are one prepared statement
 * each.
 *
 * The column keeps the text (`json`), because `jsonb` writes numbers out: 259 KB of `5e-324` are read as 12
 * MB.
 *
 * @param table made by {@link jsonEntityTableSql}, or before there was {@link jsonEntityTextSql}
 * @throws RangeError for a name outside `^[a-z][a-z0-9_]{0,40}$`
 */
export function jsonEntityStore(table: string): EntityStore {
  assertTableName(table);
  const loadText = `SELECT entity_id, data FROM ${table} WHERE tenant_id = $1 AND entity_id = ANY ($2::text[])`;
  // One statement for both: a device's batch mixes edits and deletions, and each statement is a round trip.
  // Deletions are an array and no join, so that each is looked up by its key whatever the planner believes of
  // the table's size.
  const storeText = `
    WITH gone AS (DELETE FROM ${table} WHERE tenant_id = $1 AND entity_id = ANY ($4::text[]))
    INSERT INTO ${table} (tenant_id, entity_id, data)
    SELECT $1, r.id, r.data FROM unnest($2::text[], $3::json[]) AS r (id, data) ORDER BY r.id
    ON CONFLICT (tenant_id, entity_id) DO UPDATE SET data = excluded.data`;
  const createText = `
    INSERT INTO ${table} (tenant_id, entity_id, data)
    SELECT $1, r.id, r.data FROM unnest($2::text[], $3::json[]) AS r (id, data) ORDER BY r.id`;
  return {
    async load(tx: Tx, tenantId: string, entityIds: readonly string[]) {
      const rows = await tx.call<{ entity_id: string; data: EntityData }>(`load_${table}`, loadText, [
        tenantId,
        entityIds,
      ]);
      return new Map(rows.map((row) => [row.entity_id, row.data]));
    },
    async store(tx: Tx, tenantId: string, rows: readonly StoredRow[]) {
      const [ids, data, gone] = splitRows(rows);
      // Looking for each row before it is inserted is a fifth of what this costs.
      if (rows.every(({ isNew, json }) => isNew && json !== null)) {
        await tx.call(`create_${table}`, createText, [tenantId, ids, data]);
      } else {
        await tx.call(`store_${table}`, storeText, [tenantId, ids, data, gone]);
      }
    },
  };
}

/**
 * SQL for a service's migration: the table of a {@link jsonEntityStore}, with forced row level security.
 * @throws RangeError for a name outside `^[a-z][a-z0-9_]{0,40}$`
 */
export function jsonEntityTableSql(table: string): string {
  assertTableName(table);
  return `
    CREATE TABLE ${table} (
      tenant_id text COLLATE "C" NOT NULL,
      entity_id text COLLATE "C" NOT NULL,
      data json NOT NULL,
      PRIMARY KEY (tenant_id, entity_id)
    );
    ${tenantPolicySql(table)}`;
}

/**
 * SQL for a migration of a service whose table {@link jsonEntityTableSql} made while `data` was `jsonb`:
 * keeps it as text from now on, and does nothing to a newer table. An index on `data` that only `jsonb` can
 * have has to be dropped before.
 *
 * Nobody reads or writes the table until all its rows are written anew, about a minute for some ten
 * gigabytes: pushes are `accepted` meanwhile, and at replicas of a version from before until they are
 * restarted, because what they prepared gives another type. Numbers of old rows stay written out until their
 * entity changes.
 * @throws RangeError for a name outside `^[a-z][a-z0-9_]{0,40}$`
 */
export function jsonEntityTextSql(table: string): string {
  assertTableName(table);
  return `ALTER TABLE ${table} ALTER COLUMN data TYPE json`;
}

/** Ids and data of the kept entities, and the ids of the others. */
function splitRows(rows: readonly StoredRow[]): [ids: string, data: Buffer, gone: string] {
  const kept = rows.flatMap(({ entityId, json }) => (json === null ? [] : [{ entityId, json }]));
  const gone = rows.flatMap(({ entityId, json }) => (json === null ? [entityId] : []));
  const ids = kept.map(({ entityId }) => entityId);
  return [arrayText(ids), jsonArray(kept.map(({ json }) => json)), arrayText(gone)];
}

function assertTableName(table: string): void {
  if (!TABLE_NAME.test(table))
    throw new RangeError(`Table name ${JSON.stringify(table)} must match ${TABLE_NAME}`);
}
