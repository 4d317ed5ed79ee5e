import type { Tx } from '@sync/postgres';
import type { PushedMutation, ResolutionKind } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';

/** A resolution on its way to the owner: all that is needed to carry it on, by whomever. */
export interface Claim {
  readonly kind: ResolutionKind;
  readonly suggestionId: string | null;
  readonly userId: string;
  readonly deviceId: string;
  /** The entity's clock that the person decided on. */
  readonly clock: VectorClock;
  readonly service: string;
  readonly pushSubject: string;
  readonly mutation: PushedMutation;
}

/** A row of `conflict_claim`: `claim` is null once it ended, the rest stays. */
export interface ClaimRow {
  readonly attempt: number;
  readonly requestHash: string;
  readonly claim: Claim | null;
  readonly expired: boolean;
}

/** Reads the claim of a record that the caller holds locked. */
export async function readClaim(tx: Tx, tenantId: string, conflictId: string): Promise<ClaimRow | null> {
  const [row] = await tx.query<ClaimRow>(
    `SELECT attempt, request_hash AS "requestHash", claim, expires_at <= clock_timestamp() AS expired
     FROM conflict_claim WHERE tenant_id = $1 AND conflict_id = $2`,
    [tenantId, conflictId],
  );
  return row ?? null;
}

/** A claim to be written; null claims nothing and only remembers which request resolved the record. */
export interface NewClaim {
  readonly attempt: number;
  readonly requestHash: string;
  readonly claim: Claim | null;
}

/** Writes the first or a newer claim, with one sender. */
export async function writeClaim(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  { attempt, requestHash, claim }: NewClaim,
  holdMs: number,
): Promise<void> {
  await tx.query(
    `WITH due AS (
       UPDATE open_conflict SET due_at = clock_timestamp() + $6 * interval '1 millisecond', tries = 0
       WHERE tenant_id = $1 AND conflict_id = $2 AND $5::json IS NOT NULL
     )
     INSERT INTO conflict_claim (tenant_id, conflict_id, attempt, request_hash, claim, senders, expires_at)
     VALUES ($1, $2, $3, $4, $5::json, 1, clock_timestamp() + $6 * interval '1 millisecond')
     ON CONFLICT (tenant_id, conflict_id) DO UPDATE SET attempt = excluded.attempt,
       request_hash = excluded.request_hash, claim = excluded.claim, senders = 1, expires_at = excluded.expires_at`,
    [tenantId, conflictId, attempt, requestHash, claim === null ? null : JSON.stringify(claim), holdMs],
  );
}

/** One more sender carries the claim on. */
export async function renewClaim(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  holdMs: number,
): Promise<void> {
  await tx.query(
    `WITH due AS (
       UPDATE open_conflict SET due_at = clock_timestamp() + $3 * interval '1 millisecond'
       WHERE tenant_id = $1 AND conflict_id = $2
     )
     UPDATE conflict_claim SET senders = senders + 1,
       expires_at = clock_timestamp() + $3 * interval '1 millisecond'
     WHERE tenant_id = $1 AND conflict_id = $2`,
    [tenantId, conflictId, holdMs],
  );
}

/** The owner said its last word: the record is free again, unless it is resolved. */
export async function endClaim(tx: Tx, tenantId: string, conflictId: string): Promise<void> {
  await tx.query(
    `WITH due AS (UPDATE open_conflict SET due_at = NULL WHERE tenant_id = $1 AND conflict_id = $2)
     UPDATE conflict_claim SET claim = NULL, senders = 0 WHERE tenant_id = $1 AND conflict_id = $2`,
    [tenantId, conflictId],
  );
}

/**
 * A sender reached nobody. When no sender is left that might have, the claim ends: nothing can have happened.
 * One that died without a word stays counted for ever, and then only the owner's answer ends the claim.
 */
export async function withdrawSender(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  mutationId: string,
): Promise<void> {
  await tx.query(
    `WITH left_over AS (
       UPDATE conflict_claim SET senders = senders - 1, claim = CASE WHEN senders > 1 THEN claim END
       WHERE tenant_id = $1 AND conflict_id = $2 AND claim -> 'mutation' ->> 'mutationId' = $3
       RETURNING claim
     )
     UPDATE open_conflict SET due_at = NULL
     WHERE tenant_id = $1 AND conflict_id = $2 AND EXISTS (SELECT FROM left_over WHERE claim IS NULL)`,
    [tenantId, conflictId, mutationId],
  );
}

/** A claim whose process may be dead. */
export interface DueClaim {
  readonly tenantId: string;
  readonly conflictId: string;
}

/**
 * Takes claims that are overdue, each by one replica: taking moves the time on, so that one that dies gives
 * them back. Reads ids and times across tenants, and no tenant's rows.
 */
export const TAKE_DUE_CLAIMS = `
UPDATE open_conflict q SET tries = q.tries + 1,
  due_at = clock_timestamp() + least(60, 2 ^ least(q.tries + 1, 6)) * interval '1 second'
FROM (SELECT tenant_id, conflict_id FROM open_conflict WHERE due_at <= clock_timestamp()
      ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) due
WHERE q.tenant_id = due.tenant_id AND q.conflict_id = due.conflict_id
RETURNING q.tenant_id AS "tenantId", q.conflict_id AS "conflictId"`;
