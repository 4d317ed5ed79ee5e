import { RemoteError } from '@sync/messaging';
import type { ScopeGrant } from '@sync/domain';
import type { Database, Tx } from '@sync/postgres';
import { ExplainRequest, validator, type ExplainReply } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import { deadLetterOf, faultsText, type DeadLetterRow } from '../dead-letters/list-dead-letters.ts';

interface HeadRow {
  readonly revision: string;
  readonly clock: VectorClock;
  readonly deleted: boolean;
  readonly schema_version: number;
  readonly projected_at: Date;
  readonly grants: ScopeGrant[] | null;
}

const checkRequest = validator(ExplainRequest);

/**
 * Answers `subjects.explain`: what the projector knows of one entity. The position of its last delta in a
 * scope is null: heads are written before positions are given, and the gateway's read model has it anyway.
 *
 * @throws RemoteError `schema_invalid`
 */
export async function explainEntity(database: Database, body: unknown): Promise<ExplainReply> {
  const checked = checkRequest(body);
  if (!checked.ok) throw new RemoteError('schema_invalid', faultsText(checked.faults));
  const { tenantId, entityType, entityId } = checked.value;
  const key = [tenantId, entityType, entityId];
  return database.inTenant(tenantId, async (tx) => ({
    entity: await readEntity(tx, key),
    deadLetter: await readWaitingLetter(tx, key),
  }));
}

async function readEntity(tx: Tx, key: readonly string[]): Promise<ExplainReply['entity']> {
  const [head] = await tx.query<HeadRow>(
    `SELECT revision, clock, deleted, schema_version, projected_at, grants FROM entity_head
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3`,
    key,
  );
  if (head === undefined) return null;
  const scopes = await tx.query<{ scope: string; epoch: string; head_sequence: string }>(
    `SELECT s.scope, s.epoch, s.sequence::text AS head_sequence FROM entity_head h
     JOIN scope_head s ON s.tenant_id = h.tenant_id AND s.scope = ANY (h.scopes)
     WHERE h.tenant_id = $1 AND h.entity_type = $2 AND h.entity_id = $3 ORDER BY s.scope`,
    key,
  );
  return {
    revision: Number(head.revision),
    clock: { ...head.clock },
    deleted: head.deleted,
    schemaVersion: head.schema_version,
    projectedAt: head.projected_at.toISOString(),
    scopes: scopes.map(({ scope, epoch, head_sequence: headSequence }) => ({
      scope,
      epoch,
      sequence: null,
      headSequence,
    })),
    grants: (head.grants ?? []).slice(0, 64).map(({ scope, userId }) => ({ scope, userId })),
  };
}

/**
 * The letter that keeps the entity from being up to date: the one that holds it back, else the oldest that
 * waits.
 */
async function readWaitingLetter(tx: Tx, key: readonly string[]): Promise<ExplainReply['deadLetter']> {
  const [row] = await tx.query<DeadLetterRow>(
    `SELECT * FROM dead_letter
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND status = 'quarantined'
       AND code <> 'not_the_owner'
     ORDER BY holds DESC, id LIMIT 1`,
    key,
  );
  return row === undefined ? null : deadLetterOf(row);
}
