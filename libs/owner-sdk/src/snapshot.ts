import type { Database, Tx } from '@sync/postgres';
import type { SnapshotEntity, SnapshotPage, SnapshotRequest } from '@sync/protocol';
import type { EntityDefinition } from './entity-definition.ts';
import type { EntityData } from './entity-store.ts';
import type { VersionRow } from './entity-version.ts';
import { LOCKING_LIMITS } from './request-faults.ts';

/** Thrown for a cursor that this service did not give. */
export class SnapshotCursorError extends Error {
  override readonly name = 'SnapshotCursorError';
}

interface Position {
  readonly tenantId: string;
  readonly entityId: string;
}

type SnapshotRow = VersionRow & { readonly changed_at: Date };

/** Tenants looked through in one transaction: thousands of small ones should not cost a transaction each. */
const TENANTS_PER_STEP = 100;
/** Entities read at once. Few at first: a hundred of the largest are 72 MB, of which a page takes one. */
const ENTITIES_PER_STEP = 100;
const FIRST_STEP = 10;
/** A page travels in one NATS message. */
const MAX_PAGE_BYTES = 768 * 1024;

/**
 * One page of all entities of a type, deleted ones included, in the order (tenant, entity id). Entities
 * created behind the cursor are not shown; their events are. FOR SHARE keeps the data of the page at the
 * revision shown beside it.
 *
 * @returns `next: null` at the end; a page may be shorter than `limit` before it
 * @throws SnapshotCursorError
 */
export async function readSnapshotPage(
  database: Database,
  definition: EntityDefinition,
  request: SnapshotRequest,
): Promise<SnapshotPage> {
  if (request.entities) return readNamed(database, definition, request.entities);
  const page = new PageInProgress(request.limit);
  let position = request.cursor === null ? { tenantId: '', entityId: '' } : decodeCursor(request.cursor);
  for (;;) {
    const tenantIds = await tenantsFrom(database, position.tenantId);
    const lastTenant = tenantIds.at(-1);
    if (lastTenant === undefined) return page.end();
    const full = await database.inTenant(
      tenantIds,
      (tx) => fillPage(tx, definition, page, tenantIds, position),
      LOCKING_LIMITS,
    );
    if (full) return full;
    if (tenantIds.length < TENANTS_PER_STEP) return page.end();
    // '~' is the last character that an id may have: after every entity of the step's last tenant.
    position = { tenantId: lastTenant, entityId: '~'.repeat(129) };
  }
}

/** As many of the named entities as fit into one message. */
async function readNamed(
  database: Database,
  definition: EntityDefinition,
  entities: NonNullable<SnapshotRequest['entities']>,
): Promise<SnapshotPage> {
  const page = new PageInProgress(entities.length);
  for (const [tenantId, named] of Map.groupBy(entities, (entity) => entity.tenantId)) {
    const entityIds = named.map(({ entityId }) => entityId);
    while (entityIds.length > 0) {
      const step = entityIds.splice(0, page.step);
      const rows = await database.inTenant(
        tenantId,
        (tx) => readSome(tx, definition, tenantId, step),
        LOCKING_LIMITS,
      );
      const full = page.add(rows);
      if (full) return { ...full, next: null };
    }
  }
  return page.end();
}

async function readSome(
  tx: Tx,
  definition: EntityDefinition,
  tenantId: string,
  entityIds: readonly string[],
): Promise<SnapshotEntity[]> {
  const versions = await tx.call<SnapshotRow>(
    'sync_snapshot_named',
    `SELECT entity_id, revision, clock, deleted, changed_at FROM sync_entity
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = ANY ($3::text[]) ORDER BY entity_id FOR SHARE`,
    [tenantId, definition.entityType, entityIds],
  );
  return withData(tx, definition, tenantId, versions);
}

/** @returns the page as soon as it is full */
async function fillPage(
  tx: Tx,
  definition: EntityDefinition,
  page: PageInProgress,
  tenantIds: readonly string[],
  after: Position,
): Promise<SnapshotPage | null> {
  for (const tenantId of tenantIds) {
    let entityId = tenantId === after.tenantId ? after.entityId : '';
    for (;;) {
      const { step } = page;
      const rows = await readRows(tx, definition, { tenantId, entityId }, step);
      const full = page.add(rows);
      if (full) return full;
      if (rows.length < step) break;
      entityId = rows.at(-1)?.entityId ?? entityId;
    }
  }
  return null;
}

class PageInProgress {
  readonly #limit: number;
  readonly #entities: SnapshotEntity[] = [];
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many entities to read next: about as many as still fit, as large as those before them. */
  get step(): number {
    const { length } = this.#entities;
    if (length === 0) return FIRST_STEP;
    const fitting = Math.ceil((MAX_PAGE_BYTES - this.#bytes) / (this.#bytes / length));
    return Math.max(1, Math.min(ENTITIES_PER_STEP, fitting));
  }

  /** @returns the page when it is full; the first entity fits always */
  add(entities: readonly SnapshotEntity[]): SnapshotPage | null {
    for (const entity of entities) {
      this.#bytes += Buffer.byteLength(JSON.stringify(entity)) + 1;
      if (this.#bytes > MAX_PAGE_BYTES && this.#entities.length > 0) return this.#cut();
      this.#entities.push(entity);
      if (this.#entities.length === this.#limit) return this.#cut();
    }
    return null;
  }

  end(): SnapshotPage {
    return { entities: this.#entities, next: null };
  }

  #cut(): SnapshotPage {
    const last = this.#entities.at(-1);
    const next = last ? Buffer.from(`${last.tenantId}\0${last.entityId}`).toString('base64url') : null;
    return { entities: this.#entities, next };
  }
}

/** The tenant of the position itself comes first: its page may go on. */
async function tenantsFrom(database: Database, tenantId: string): Promise<string[]> {
  const rows = await database.call<{ tenant_id: string }>(
    'sync_snapshot_tenants',
    'SELECT tenant_id FROM sync_tenant WHERE tenant_id >= $1 ORDER BY tenant_id LIMIT $2',
    [tenantId, TENANTS_PER_STEP],
  );
  return rows.map((row) => row.tenant_id);
}

async function readRows(
  tx: Tx,
  definition: EntityDefinition,
  after: Position,
  limit: number,
): Promise<SnapshotEntity[]> {
  const rows = await tx.call<SnapshotRow>(
    'sync_snapshot_rows',
    `SELECT entity_id, revision, clock, deleted, changed_at FROM sync_entity
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id > $3
     ORDER BY entity_id LIMIT $4 FOR SHARE`,
    [after.tenantId, definition.entityType, after.entityId, limit],
  );
  return withData(tx, definition, after.tenantId, rows);
}

async function withData(
  tx: Tx,
  definition: EntityDefinition,
  tenantId: string,
  rows: readonly SnapshotRow[],
): Promise<SnapshotEntity[]> {
  const alive = rows.filter((row) => !row.deleted).map((row) => row.entity_id);
  const data =
    alive.length === 0 ? new Map<string, EntityData>() : await definition.load(tx, tenantId, alive);
  return rows.map((row) => entityOf(tenantId, row, data.get(row.entity_id) ?? null));
}

function entityOf(tenantId: string, row: SnapshotRow, data: EntityData | null): SnapshotEntity {
  return {
    tenantId,
    entityId: row.entity_id,
    revision: Number(row.revision),
    clock: row.clock,
    data: row.deleted ? null : { ...data },
    deleted: row.deleted,
    changedAt: row.changed_at.toISOString(),
  };
}

function decodeCursor(cursor: string): Position {
  const [tenantId, entityId, ...rest] = Buffer.from(cursor, 'base64url').toString('utf8').split('\0');
  if (tenantId === undefined || entityId === undefined || rest.length > 0) {
    throw new SnapshotCursorError('The snapshot cursor is not one of this service');
  }
  return { tenantId, entityId };
}
