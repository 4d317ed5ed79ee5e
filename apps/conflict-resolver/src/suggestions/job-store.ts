import type { Database, Tx } from '@sync/postgres';

/** A question that this worker may ask now. */
export interface Claim {
  readonly suggestionId: string;
  readonly tenantId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly worker: string;
}

/** In the transaction that stores the suggestion: either both are there after a crash, or neither. */
export async function addJob(tx: Tx, tenantId: string, suggestionId: string): Promise<void> {
  await tx.query(
    'INSERT INTO suggestion_job (suggestion_id, tenant, run_after) VALUES ($1, $2, clock_timestamp())',
    [suggestionId, tenantId],
  );
}

/**
 * Claims due jobs for `leaseMs` by the database's clock, oldest first; workers pass over what others hold. A
 * claim that runs out belongs to nobody again, and counts as an attempt.
 */
export async function claimJobs(
  database: Database,
  worker: string,
  limit: number,
  leaseMs: number,
): Promise<Claim[]> {
  const rows = await database.call<{ suggestion_id: string; tenant: string; attempts: number }>(
    'claim_suggestion_jobs',
    `UPDATE suggestion_job
     SET claimed_by = $1, claimed_until = clock_timestamp() + $3 * interval '1 millisecond',
       attempts = attempts + 1
     WHERE suggestion_id = ANY (ARRAY(
       SELECT suggestion_id FROM suggestion_job
       WHERE run_after <= clock_timestamp() AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
       ORDER BY run_after, suggestion_id LIMIT $2
       FOR UPDATE SKIP LOCKED))
     RETURNING suggestion_id, tenant, attempts`,
    [worker, limit, leaseMs],
  );
  return rows.map(({ suggestion_id, tenant, attempts }) => {
    return { suggestionId: suggestion_id, tenantId: tenant, attempt: attempts, worker };
  });
}

/**
 * @returns false when the claim ran out and another worker has the job, or had it: then nothing of this
 * attempt may be stored
 */
export async function endJob(tx: Tx, { suggestionId, worker, attempt }: Claim): Promise<boolean> {
  const rows = await tx.query(
    'DELETE FROM suggestion_job WHERE suggestion_id = $1 AND claimed_by = $2 AND attempts = $3 RETURNING 1',
    [suggestionId, worker, attempt],
  );
  return rows.length > 0;
}

/** Gives the job back for a later attempt. @returns false as `endJob` */
export async function postponeJob(
  tx: Tx,
  { suggestionId, worker, attempt }: Claim,
  pauseMs: number,
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE suggestion_job SET claimed_by = NULL, claimed_until = NULL,
            run_after = clock_timestamp() + $4 * interval '1 millisecond'
     WHERE suggestion_id = $1 AND claimed_by = $2 AND attempts = $3 RETURNING 1`,
    [suggestionId, worker, attempt, pauseMs],
  );
  return rows.length > 0;
}
