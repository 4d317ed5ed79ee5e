import type { Database, Tx } from '@sync/postgres';
import type { RegisteredEntityType } from '@sync/protocol';
import type { IncomingEvent } from '../projection/incoming-event.ts';
import type { BackfillProgress, BackfillReason } from './due-backfill.ts';

interface ProgressRow {
  readonly entity_type: string;
  readonly schema_version: number;
  readonly reason: BackfillReason;
  readonly sweep: boolean;
  readonly plain: boolean;
  readonly cursor: string | null;
  readonly done: boolean;
  readonly run: number;
  readonly started_at: Date;
  readonly finished_at: Date | null;
}

const RETURNING =
  'entity_type, schema_version, reason, sweep, plain, cursor, done, run, started_at, finished_at';

/** Progress of these types; one that was never read is missing. */
export async function readProgress(
  database: Pick<Database, 'call'>,
  entityTypes: readonly string[],
): Promise<ReadonlyMap<string, BackfillProgress>> {
  const rows = await database.call<ProgressRow>(
    'read_backfill_progress',
    `SELECT ${RETURNING} FROM backfill_progress WHERE entity_type = ANY ($1)`,
    [entityTypes],
  );
  return new Map(rows.map((row) => [row.entity_type, progressOf(row)]));
}

/** Starts a type's snapshot from its first page. */
export async function startRun(
  tx: Pick<Tx, 'query'>,
  type: RegisteredEntityType,
  run: { readonly reason: BackfillReason; readonly sweep: boolean },
): Promise<BackfillProgress> {
  const rows = await tx.query<ProgressRow>(
    `INSERT INTO backfill_progress AS b (entity_type, schema_version, reason, sweep, done, started_at)
     VALUES ($1, $2, $3, $4, false, clock_timestamp())
     ON CONFLICT (entity_type) DO UPDATE SET schema_version = excluded.schema_version,
       reason = excluded.reason,
       sweep = excluded.sweep, cursor = NULL, done = false, entities = 0,
       run = b.run + 1, started_at = excluded.started_at, finished_at = NULL
     RETURNING ${RETURNING}`,
    [type.entityType, type.schemaVersion, run.reason, run.sweep],
  );
  return progressOf(rows[0] as ProgressRow);
}

/**
 * Asks for these types to be read again from the start, by whoever holds their lease; types never read are
 * due anyway.
 */
export async function requestRun(
  database: Pick<Database, 'call'>,
  entityTypes: readonly string[],
  reason: BackfillReason,
): Promise<void> {
  await database.call(
    'request_backfill',
    `UPDATE backfill_progress SET reason = $2, sweep = true, cursor = NULL, done = false, entities = 0,
       run = run + 1, started_at = clock_timestamp(), finished_at = NULL
     WHERE entity_type = ANY ($1)`,
    [entityTypes, reason],
  );
}

/**
 * Notes a page in the transaction that projected it.
 * @returns false when somebody has asked for a new run meanwhile: then the page counts but not its cursor
 */
export async function savePage(
  tx: Pick<Tx, 'query'>,
  { entityType, run }: BackfillProgress,
  page: { readonly next: string | null; readonly entities: number },
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE backfill_progress SET cursor = coalesce($3, cursor), entities = entities + $4
     WHERE entity_type = $1 AND run = $2 RETURNING 1`,
    [entityType, run, page.next, page.entities],
  );
  return rows.length > 0;
}

/**
 * Ends a run, unless a new one was asked for. @returns how many entities it has read, null when it did not
 * end
 */
export async function finishRun(
  tx: Pick<Tx, 'query'>,
  { entityType, run }: BackfillProgress,
): Promise<number | null> {
  const rows = await tx.query<{ entities: string }>(
    `UPDATE backfill_progress SET done = true, cursor = NULL, finished_at = clock_timestamp()
     WHERE entity_type = $1 AND run = $2 RETURNING entities`,
    [entityType, run],
  );
  return rows[0] === undefined ? null : Number(rows[0].entities);
}

/** Notes that these types have events without numbers. @returns those that are noted now */
export async function markPlain(
  database: Pick<Database, 'call'>,
  entityTypes: readonly string[],
): Promise<readonly string[]> {
  const rows = await database.call<{ entity_type: string }>(
    'mark_plain_types',
    'UPDATE backfill_progress SET plain = true WHERE entity_type = ANY ($1) RETURNING entity_type',
    [entityTypes],
  );
  return rows.map((row) => row.entity_type);
}

/** Notes what a page has shown, in a transaction of its tenants. */
export async function noteSeen(tx: Pick<Tx, 'query'>, events: readonly IncomingEvent[]): Promise<void> {
  const seen = events.flatMap(({ identity }) => (identity.tenantId === null ? [] : [identity]));
  await tx.query(
    `INSERT INTO snapshot_seen (tenant_id, entity_type, entity_id)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS s (tenant_id, entity_type, entity_id)
     WHERE s.entity_type IS NOT NULL AND s.entity_id IS NOT NULL ON CONFLICT DO NOTHING`,
    [
      seen.map(({ tenantId }) => tenantId),
      seen.map(({ entityType }) => entityType),
      seen.map(({ entityId }) => entityId),
    ],
  );
}

/** Forgets what earlier pages have shown, in a transaction of these tenants. */
export async function forgetSeen(tx: Pick<Tx, 'query'>, entityType: string): Promise<void> {
  await tx.query('DELETE FROM snapshot_seen WHERE entity_type = $1', [entityType]);
}

export interface UnseenEntity {
  readonly tenantId: string;
  readonly entityId: string;
  readonly revision: number;
}

/**
 * Live entities that the snapshot has not shown although they were projected before it began, in key order,
 * after `after`; in a transaction of their tenants. A scalar subquery and no anti-join: under row level
 * security the planner might compare every row with every other (see load-heads.sql), and a subquery can only
 * look into the primary key.
 */
export async function readUnseen(
  tx: Pick<Tx, 'query'>,
  { entityType, startedAt }: BackfillProgress,
  after: { readonly tenantId: string; readonly entityId: string },
  limit: number,
): Promise<UnseenEntity[]> {
  const rows = await tx.query<{ tenant_id: string; entity_id: string; revision: string }>(
    `SELECT h.tenant_id, h.entity_id, h.revision FROM entity_head h
     WHERE h.entity_type = $1 AND NOT h.deleted AND h.projected_at < $2
       AND (h.tenant_id, h.entity_id) > ($3, $4)
       AND (SELECT true FROM snapshot_seen s WHERE s.tenant_id = h.tenant_id AND s.entity_type = h.entity_type
              AND s.entity_id = h.entity_id) IS NULL
     ORDER BY h.tenant_id, h.entity_id LIMIT $5`,
    [entityType, startedAt, after.tenantId, after.entityId, limit],
  );
  return rows.map(({ tenant_id: tenantId, entity_id: entityId, revision }) => ({
    tenantId,
    entityId,
    revision: Number(revision),
  }));
}

function progressOf(row: ProgressRow): BackfillProgress {
  return {
    entityType: row.entity_type,
    schemaVersion: row.schema_version,
    reason: row.reason,
    sweep: row.sweep,
    plain: row.plain,
    cursor: row.cursor,
    done: row.done,
    run: row.run,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}
