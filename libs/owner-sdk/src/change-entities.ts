import type { Tx } from '@sync/postgres';
import { appendToOutbox } from '@sync/messaging';
import { canonicalClockJson, counterOf, serviceReplica, type VectorClock } from '@sync/vector-clock';
import { orderKeyOf, packEvents, type EventDraft } from './domain-event-outbox.ts';
import type { EntityDefinition } from './entity-definition.ts';
import type { EntityData, StoredRow } from './entity-store.ts';
import type { ServerChange } from './handler-answer.ts';
import { lockVersions, versionOf, type VersionRow } from './entity-version.ts';
import { refuseData } from './push/refuse-data.ts';

/** What own changes need to know of their service. */
export interface OwnerContext {
  readonly service: string;
  readonly definitions: ReadonlyMap<string, EntityDefinition>;
}

/** The revision that a change made. */
export interface ChangeResult {
  readonly entityType: string;
  readonly entityId: string;
  readonly revision: number;
}

/** Thrown before anything is written: the type is not defined here, or the data cannot be stored. */
export class InvalidChangeError extends Error {
  override readonly name = 'InvalidChangeError';
}

interface PreparedChange {
  readonly change: ServerChange;
  readonly definition: EntityDefinition;
  readonly json: string | null;
}

type MadeChange = PreparedChange & { readonly row: RaisedRow; readonly isIncrement?: boolean };

const ENTITY_ID = /^[A-Za-z0-9._~:-]{1,128}$/;

/** `$5`: only entities that do not exist; the others are left out of the answer. */
const RAISE_VERSIONS = `
WITH r AS (
  SELECT * FROM json_to_recordset($2::json) AS r (type text, id text, deleted boolean)
), tenant AS (
  INSERT INTO sync_tenant (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING
)
INSERT INTO sync_entity AS e (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at)
SELECT $1, type, id, 1, jsonb_build_object($3::text, 1), deleted, $4 FROM r
ORDER BY type COLLATE "C", id COLLATE "C"
ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
  revision = e.revision + 1,
  clock = e.clock || jsonb_build_object($3::text, coalesce((e.clock ->> $3)::bigint, 0) + 1),
  deleted = excluded.deleted, changed_at = excluded.changed_at
WHERE e.deleted OR NOT $5::boolean
RETURNING entity_type, entity_id, revision, clock, deleted`;

/**
 * Makes the service's own changes inside its transaction: version (`s:<service>` one higher), the entity's
 * row by its store, and the event. The version row comes first, because it is the lock that pushes of the
 * same entity take first too.
 *
 * Of several changes of one entity the last counts.
 *
 * @param tx a transaction of this tenant
 * @param stored the entities' rows are written already: version and event only
 * @returns the revisions made, without the `ifAbsent` ones that found their entity
 * @throws InvalidChangeError
 */
export async function changeEntities(
  tx: Tx,
  owner: OwnerContext,
  tenantId: string,
  changes: readonly ServerChange[],
  options: { readonly nowIso: string; readonly stored?: boolean },
): Promise<ChangeResult[]> {
  const prepared = new Map<string, PreparedChange>();
  for (const change of changes)
    prepared.set(keyOf(change.entityType, change.entityId), prepare(owner, change));
  const all = [...prepared.values()];
  const versions = [
    ...(await raiseVersions(
      tx,
      owner,
      tenantId,
      all.filter(({ change }) => !change.ifAbsent),
      options.nowIso,
      false,
    )),
    ...(await raiseVersions(
      tx,
      owner,
      tenantId,
      all.filter(({ change }) => change.ifAbsent),
      options.nowIso,
      true,
    )),
  ];
  const raised = versions.map((row): MadeChange => {
    const found = prepared.get(keyOf(row.entity_type, row.entity_id));
    if (!found) throw new Error(`sync_entity answered ${row.entity_id}, which was not asked for`);
    return { ...found, row };
  });
  if (raised.length === 0) return [];
  const made = await mergeDocuments(tx, owner, tenantId, raised);
  if (!options.stored) await storeAll(tx, tenantId, made);
  await appendToOutbox(
    tx,
    packEvents(
      owner.service,
      made.map((one) => draftOf(tenantId, options.nowIso, one)),
    ),
  );
  return made.map(({ row }) => ({
    entityType: row.entity_type,
    entityId: row.entity_id,
    revision: Number(row.revision),
  }));
}

/** Reads entities under their lock, in the order that pushes take it; see `Owner.lock`. */
export async function lockEntities(
  tx: Tx,
  owner: OwnerContext,
  tenantId: string,
  entityType: string,
  entityIds: readonly string[],
): Promise<ReadonlyMap<string, EntityData>> {
  const definition = definitionOf(owner, entityType);
  const versions = await lockVersions(tx, tenantId, entityType, [...entityIds]);
  const alive = [...versions].filter(([, { deleted }]) => !deleted).map(([entityId]) => entityId);
  return alive.length === 0 ? new Map() : definition.load(tx, tenantId, alive);
}

function definitionOf(owner: OwnerContext, entityType: string): EntityDefinition {
  const definition = owner.definitions.get(entityType);
  if (!definition) throw new InvalidChangeError(`${owner.service} does not define entity type ${entityType}`);
  return definition;
}

type RaisedRow = VersionRow & { readonly entity_type: string };

async function raiseVersions(
  tx: Tx,
  owner: OwnerContext,
  tenantId: string,
  changes: readonly PreparedChange[],
  nowIso: string,
  onlyAbsent: boolean,
): Promise<RaisedRow[]> {
  if (changes.length === 0) return [];
  const rows = changes.map(({ change }) => ({
    type: change.entityType,
    id: change.entityId,
    deleted: change.data === null,
  }));
  const replica = serviceReplica(owner.service);
  return tx.call('sync_raise_versions', RAISE_VERSIONS, [
    tenantId,
    JSON.stringify(rows),
    replica,
    nowIso,
    onlyAbsent,
  ]);
}

function prepare(owner: OwnerContext, change: ServerChange): PreparedChange {
  const definition = definitionOf(owner, change.entityType);
  if (!ENTITY_ID.test(change.entityId)) {
    throw new InvalidChangeError(
      `Entity id ${JSON.stringify(change.entityId.slice(0, 200))} must match ${ENTITY_ID}`,
    );
  }
  const json = change.data === null ? null : JSON.stringify(change.data);
  const refusal = refuseData(change.data, json, definition.policy);
  if (refusal) {
    throw new InvalidChangeError(`${change.entityType} ${change.entityId}: ${refusal.message}`);
  }
  return { change, definition, json };
}

async function storeAll(tx: Tx, tenantId: string, changes: readonly PreparedChange[]): Promise<void> {
  const byDefinition = Map.groupBy(changes, ({ definition }) => definition);
  for (const [definition, ofType] of byDefinition) {
    await definition.store(
      tx,
      tenantId,
      ofType.map(({ change, json }) => storedRow(change.entityId, change.data, json)),
    );
  }
}

/** The row that a store gets; `data` and its text are null together. */
export function storedRow(entityId: string, data: ServerChange['data'], json: string | null): StoredRow {
  return data === null || json === null ? { entityId, data: null, json: null } : { entityId, data, json };
}

function draftOf(tenantId: string, nowIso: string, made: MadeChange): EventDraft {
  const { revision, clock } = versionOf(made.row);
  return {
    tenantId,
    entityType: made.change.entityType,
    entityId: made.change.entityId,
    orderKey: orderKeyOf(made.definition, made.change.entityId, made.change.data),
    revision,
    schemaVersion: made.definition.schemaVersion,
    timeIso: nowIso,
    entityClock: canonicalClockJson(clock),
    json: made.json,
    ...(made.isIncrement && { isIncrement: true }),
  };
}

/** Changes of entities with documents: what the service gave is merged, and what it added is shown. */
async function mergeDocuments(
  tx: Tx,
  owner: OwnerContext,
  tenantId: string,
  changes: readonly MadeChange[],
): Promise<MadeChange[]> {
  const merged: MadeChange[] = [];
  const replica = serviceReplica(owner.service);
  for (const [definition, ofType] of Map.groupBy(changes, (change) => change.definition)) {
    const entityIds = ofType.map(({ change }) => change.entityId);
    const session = await definition.documents?.open(tx, tenantId, definition.entityType, entityIds);
    if (!session) {
      merged.push(...ofType);
      continue;
    }
    const changed = new Map<string, { readonly data: EntityData | null; readonly clock: VectorClock }>();
    for (const made of ofType) {
      const { entityId, data } = made.change;
      const { clock } = made.row;
      changed.set(entityId, { data, clock });
      if (!data) {
        merged.push(made);
        continue;
      }
      const shown = session.takeOwn({ entityId, data, replica, counter: counterOf(clock, replica) });
      const change = { ...made.change, data: shown.data };
      merged.push({ ...made, change, json: JSON.stringify(shown.data), isIncrement: shown.isIncrement });
    }
    await session.complete(tx, changed);
  }
  return merged;
}

function keyOf(entityType: string, entityId: string): string {
  return `${entityType}\0${entityId}`;
}
