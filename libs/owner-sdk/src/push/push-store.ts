import { arrayText, sqlStateOf, type Tx } from '@sync/postgres';
import type { OwnerPushResult } from '@sync/protocol';
import type { ChangedEntity } from './decide-push.ts';
import type { FinalAnswer, KnownAnswer } from './known-answer.ts';

/** The final answers that earlier attempts left. */
export async function findAnswers(
  tx: Tx,
  tenantId: string,
  mutationIds: readonly string[],
): Promise<Map<string, KnownAnswer>> {
  const rows = await tx.call<{ mutation_id: string; result: OwnerPushResult; identity: string | null }>(
    'sync_find_answers',
    `SELECT mutation_id, result, encode(identity, 'hex') AS identity FROM sync_mutation_inbox
     WHERE tenant_id = $1 AND mutation_id = ANY ($2::uuid[])`,
    [tenantId, mutationIds],
  );
  return new Map(rows.map(({ mutation_id: id, result, identity }) => [id, { result, identity }]));
}

/**
 * Somebody else created one of the entities, or answered one of the mutations, after this transaction looked.
 * It must roll back; the next attempt sees what the other did.
 */
export class PushRaceError extends Error {
  override readonly name = 'PushRaceError';
}

/**
 * Columns are arrays, JSON is one line each: as JSON objects they were parsed twice, which took 0.7 ms of 100
 * entities.
 *
 * Changed rows are upserted although they exist and are locked: an upsert looks each row up by its key,
 * whatever the planner believes. `UPDATE … FROM changed` is a join, and with the tenant named twice (by us
 * and by the policy) the planner expects one row of it and read all rows of the tenant for each of the batch:
 * 460 ms at 5,000 entities, against 8 ms.
 */
const WRITE_PUSH = `
WITH changed AS (
  SELECT r.id, r.base, r.revision, r.deleted, r.clock::jsonb AS clock, r.sent_by, r.sent_digest
  FROM ROWS FROM (unnest($3::text[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::boolean[]),
    string_to_table($7, E'\\n'), unnest($11::text[]), unnest($12::text[]))
    AS r (id, base, revision, deleted, clock, sent_by, sent_digest) ORDER BY id
), tenant AS (
  INSERT INTO sync_tenant (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING
), updated AS (
  INSERT INTO sync_entity (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at)
  SELECT $1, $2, id, revision, clock, deleted, $10 FROM changed WHERE base > 0 ORDER BY id
  ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
    revision = excluded.revision, clock = excluded.clock,
    deleted = excluded.deleted, changed_at = excluded.changed_at
  RETURNING 1
), created AS (
  INSERT INTO sync_entity
    (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at, sent_by, sent_digest)
  SELECT $1, $2, id, revision, clock, deleted, $10, sent_by, sent_digest
  FROM changed WHERE base = 0 ORDER BY id
  ON CONFLICT DO NOTHING RETURNING 1
), answered AS (
  INSERT INTO sync_mutation_inbox AS i (tenant_id, mutation_id, result, identity)
  SELECT $1, r.id, r.result::jsonb, decode(r.identity, 'hex')
  FROM ROWS FROM (unnest($8::uuid[], $13::text[]), string_to_table($9, E'\\n')) AS r (id, identity, result)
  ON CONFLICT (tenant_id, mutation_id) DO UPDATE SET
    result = excluded.result, identity = excluded.identity, at = now()
    WHERE i.mutation_id = ANY ($14::uuid[]) AND i.result ->> 'status' = 'rejected'
  RETURNING 1
)
SELECT (SELECT count(*) FROM updated)::int4 + (SELECT count(*) FROM created)::int4 AS entities,
       (SELECT count(*) FROM answered)::int4 AS answers`;

/** What a batch leaves beside the entities themselves. */
export interface WrittenBatch {
  readonly changed: ReadonlyMap<string, ChangedEntity>;
  readonly final: readonly FinalAnswer[];
  readonly nowIso: string;
}

/**
 * Writes versions and answers of a batch in one statement. Creating is a plain insert: under read committed
 * it waits for a concurrent creator of the same id and then does nothing, which the count shows.
 *
 * @throws PushRaceError
 */
export async function writeVersionsAndAnswers(
  tx: Tx,
  tenantId: string,
  entityType: string,
  batch: WrittenBatch,
): Promise<void> {
  const changed = [...batch.changed];
  const [written] = await tx.call<{ entities: number; answers: number }>('sync_write_push', WRITE_PUSH, [
    tenantId,
    entityType,
    arrayText(changed.map(([id]) => id)),
    arrayText(changed.map(([, { baseRevision }]) => baseRevision)),
    arrayText(changed.map(([, { revision }]) => revision)),
    arrayText(changed.map(([, { deleted }]) => deleted)),
    changed.map(([, { clock }]) => JSON.stringify(clock)).join('\n'),
    arrayText(batch.final.map(({ result }) => result.mutationId)),
    batch.final.map(({ result }) => JSON.stringify(result)).join('\n'),
    batch.nowIso,
    arrayText(changed.map(([, { sent }]) => sent?.by ?? null)),
    arrayText(changed.map(([, { sent }]) => sent?.digest ?? null)),
    arrayText(batch.final.map(({ identity }) => identity)),
    arrayText(batch.final.flatMap(({ result, replaces }) => (replaces ? result.mutationId : []))),
  ]);
  if (written?.entities !== changed.length || written.answers !== batch.final.length) {
    throw new PushRaceError(
      'Another transaction created one of these entities or answered one of these mutations',
    );
  }
}

/**
 * Without ON CONFLICT, with which Postgres looks for each row before it inserts it, and marks it afterwards:
 * a sixth of this statement.
 */
const CREATE_ALL = `
WITH tenant AS (
  INSERT INTO sync_tenant (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING
), answered AS (
  INSERT INTO sync_mutation_inbox (tenant_id, mutation_id, result, identity)
  SELECT $1, r.id, r.result::jsonb, decode(r.identity, 'hex')
  FROM ROWS FROM (unnest($9::uuid[], $11::text[]), string_to_table($10, E'\\n')) AS r (id, identity, result)
)
INSERT INTO sync_entity
  (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at, sent_by, sent_digest)
SELECT $1, $2, r.id, r.revision, r.clock::jsonb, r.deleted, $6, r.sent_by, r.sent_digest
FROM ROWS FROM (unnest($3::text[], $4::bigint[], $5::boolean[], $7::text[], $8::text[]),
  string_to_table($12, E'\\n')) AS r (id, revision, deleted, sent_by, sent_digest, clock) ORDER BY r.id`;

/** {@link writeVersionsAndAnswers} of a batch whose entities and answers all seem to be new. */
export async function createVersionsAndAnswers(
  tx: Tx,
  tenantId: string,
  entityType: string,
  { changed, final, nowIso }: WrittenBatch,
): Promise<void> {
  const entities = [...changed];
  await tx.call('sync_create_all', CREATE_ALL, [
    tenantId,
    entityType,
    arrayText(entities.map(([id]) => id)),
    arrayText(entities.map(([, { revision }]) => revision)),
    arrayText(entities.map(([, { deleted }]) => deleted)),
    nowIso,
    arrayText(entities.map(([, { sent }]) => sent?.by ?? null)),
    arrayText(entities.map(([, { sent }]) => sent?.digest ?? null)),
    arrayText(final.map(({ result }) => result.mutationId)),
    final.map(({ result }) => JSON.stringify(result)).join('\n'),
    arrayText(final.map(({ identity }) => identity)),
    entities.map(([, { clock }]) => JSON.stringify(clock)).join('\n'),
  ]);
}

/** Something that seemed to be new was there (`unique_violation`). @throws PushRaceError, or the error */
export function foundExisting(error: unknown): never {
  if (sqlStateOf(error) !== '23505') throw error;
  throw new PushRaceError('One of these entities or answers exists', { cause: error });
}

/**
 * Forgets answers older than `retentionDays`, at most `limit` rows a call.
 * @returns how many were forgotten
 */
export async function pruneAnswers(
  tx: Tx,
  tenantId: string,
  retentionDays: number,
  limit: number,
): Promise<number> {
  const [pruned] = await tx.call<{ count: number }>(
    'sync_prune_answers',
    `WITH gone AS (
       DELETE FROM sync_mutation_inbox WHERE tenant_id = $1 AND mutation_id = ANY (ARRAY(
         SELECT mutation_id FROM sync_mutation_inbox
         WHERE tenant_id = $1 AND at < now() - make_interval(days => $2) LIMIT $3)) RETURNING 1
     ) SELECT count(*)::int4 AS count FROM gone`,
    [tenantId, retentionDays, limit],
  );
  return pruned?.count ?? 0;
}
