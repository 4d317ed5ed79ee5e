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

/** What a batch leaves beside the entities themselves. */
export interface WrittenBatch {
  readonly tenantId: string;
  readonly entityType: string;
  readonly nowIso: string;
  readonly changed: ReadonlyMap<string, ChangedEntity>;
  readonly final: readonly FinalAnswer[];
}

/**
 * The parameters of both statements. Columns are arrays, JSON is one line each: as JSON objects they were
 * parsed twice, which took 0.7 ms of 100 entities.
 */
function parametersOf({ tenantId, entityType, nowIso, changed, final }: WrittenBatch): unknown[] {
  const entities = [...changed];
  return [
    tenantId,
    entityType,
    nowIso,
    arrayText(entities.map(([id]) => id)),
    arrayText(entities.map(([, { baseRevision }]) => baseRevision)),
    arrayText(entities.map(([, { revision }]) => revision)),
    arrayText(entities.map(([, { deleted }]) => deleted)),
    arrayText(entities.map(([, { sent }]) => sent?.by ?? null)),
    arrayText(entities.map(([, { sent }]) => sent?.digest ?? null)),
    entities.map(([, { clock }]) => JSON.stringify(clock)).join('\n'),
    arrayText(final.map(({ result }) => result.mutationId)),
    arrayText(final.map(({ identity }) => identity)),
    final.map(({ result }) => JSON.stringify(result)).join('\n'),
  ];
}

const ENTER_TENANT = 'INSERT INTO sync_tenant (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING';
const ENTER_ENTITIES = `
INSERT INTO sync_entity
  (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at, sent_by, sent_digest)
SELECT $1, $2, r.id, r.revision, r.clock::jsonb, r.deleted, $3, r.sent_by, r.sent_digest
FROM ROWS FROM (
  unnest($4::text[], $5::bigint[], $6::bigint[], $7::boolean[], $8::text[], $9::text[]),
  string_to_table($10, E'\\n')
) AS r (id, base, revision, deleted, sent_by, sent_digest, clock)`;
const ENTER_ANSWERS = `
INSERT INTO sync_mutation_inbox AS i (tenant_id, mutation_id, result, identity)
SELECT $1, r.id, r.result::jsonb, decode(r.identity, 'hex')
FROM ROWS FROM (unnest($11::uuid[], $12::text[]), string_to_table($13, E'\\n')) AS r (id, identity, result)`;

/**
 * An answer takes the place of one to another change alone: the same may have been refused since this
 * transaction looked (`refuse`), which locks no entity that is new.
 *
 * Changed rows are upserted although they exist and are locked: an upsert looks each row up by its key,
 * whatever the planner believes. `UPDATE … FROM changed` is a join, and with the tenant named twice (by us
 * and by the policy) the planner expects one row of it and read all rows of the tenant for each of the batch:
 * 460 ms at 5,000 entities, against 8 ms.
 */
const WRITE_PUSH = `
WITH tenant AS (${ENTER_TENANT}), updated AS (
  ${ENTER_ENTITIES} WHERE r.base > 0 ORDER BY r.id
  ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
    revision = excluded.revision, clock = excluded.clock,
    deleted = excluded.deleted, changed_at = excluded.changed_at
  RETURNING 1
), created AS (
  ${ENTER_ENTITIES} WHERE r.base = 0 ORDER BY r.id ON CONFLICT DO NOTHING RETURNING 1
), answered AS (
  ${ENTER_ANSWERS}
  ON CONFLICT (tenant_id, mutation_id) DO UPDATE SET
    result = excluded.result, identity = excluded.identity, at = now()
    WHERE i.mutation_id = ANY ($14::uuid[]) AND i.result ->> 'status' = 'rejected'
      AND i.identity IS DISTINCT FROM excluded.identity
  RETURNING 1
)
SELECT (SELECT count(*) FROM updated)::int4 + (SELECT count(*) FROM created)::int4 AS entities,
       (SELECT count(*) FROM answered)::int4 AS answers`;

/**
 * Writes versions and answers of a batch in one statement. Creating is a plain insert: under read committed
 * it waits for a concurrent creator of the same id and then does nothing, which the count shows.
 *
 * @throws PushRaceError
 */
export async function writeVersionsAndAnswers(tx: Tx, batch: WrittenBatch): Promise<void> {
  const { changed, final } = batch;
  const [written] = await tx.call<{ entities: number; answers: number }>('sync_write_push', WRITE_PUSH, [
    ...parametersOf(batch),
    arrayText(final.flatMap(({ result, replaces }) => (replaces ? result.mutationId : []))),
  ]);
  if (written?.entities !== changed.size || written.answers !== final.length) {
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
WITH tenant AS (${ENTER_TENANT}), answered AS (${ENTER_ANSWERS}) ${ENTER_ENTITIES} ORDER BY r.id`;

/** {@link writeVersionsAndAnswers} of a batch whose entities and answers all seem to be new. */
export async function createVersionsAndAnswers(tx: Tx, batch: WrittenBatch): Promise<void> {
  await tx.call('sync_create_all', CREATE_ALL, parametersOf(batch));
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
