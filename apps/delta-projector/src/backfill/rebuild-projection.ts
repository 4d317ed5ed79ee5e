import { randomBytes } from 'node:crypto';
import { appendToOutbox, RemoteError } from '@sync/messaging';
import { retryConflicts, type Database, type Tx } from '@sync/postgres';
import { TENANT_ID_PATTERN, type GrantChange } from '@sync/protocol';
import type { ScopeGrant } from '@sync/domain';
import { tenantPages } from '../database/known-tenants.ts';
import { deltaMessages, type ScopePosition } from '../projection/delta-messages.ts';
import { scopeKey } from '../projection/scope-changes.ts';

/** Answer of `subjects.projectorRebuild`. */
export interface RebuildReply {
  readonly tenants: number;
}

const TENANT_ID = new RegExp(TENANT_ID_PATTERN);

/**
 * Starts the projection over: for a gateway that has lost what it knew, or after a fault in projection
 * itself. Every scope begins a new epoch, empty, at position 0, and tells the gateways so; every entity
 * counts as being in no scope. Then the backfill of all types runs and brings each entity back into its
 * scopes. Devices get a full resync of what they hold.
 *
 * Revisions and clocks stay, so events that come meanwhile take their usual way. Grants stay too and are only
 * told again: taking them back for the time of the rebuild would make devices purge. What was taken back in
 * messages that a gateway never saw is not known here any more (see the runbook, "An outbox was pruned").
 */
export class RebuildProjection {
  readonly #database: Database;
  readonly #origin: string;
  readonly #onCommitted: () => void;

  /** @param onCommitted after each tenant: kick the relay, look for due backfills */
  constructor(database: Database, origin: string, onCommitted: () => void) {
    this.#database = database;
    this.#origin = origin;
    this.#onCommitted = onCommitted;
  }

  /** Answers `subjects.projectorRebuild`: one tenant, or all. @throws RemoteError `schema_invalid` */
  async answer(body: unknown): Promise<RebuildReply> {
    const { tenantId } = (typeof body === 'object' && body !== null ? body : {}) as {
      readonly tenantId?: unknown;
    };
    if (tenantId === undefined) return this.#rebuildAll();
    if (typeof tenantId !== 'string' || !TENANT_ID.test(tenantId)) {
      throw new RemoteError('schema_invalid', '/tenantId is not a tenant id');
    }
    await this.#rebuildTenant(tenantId);
    return { tenants: 1 };
  }

  async #rebuildAll(): Promise<RebuildReply> {
    let tenants = 0;
    for await (const tenantIds of tenantPages(this.#database)) {
      for (const tenantId of tenantIds) await this.#rebuildTenant(tenantId);
      tenants += tenantIds.length;
    }
    return { tenants };
  }

  async #rebuildTenant(tenantId: string): Promise<void> {
    const epoch = randomBytes(8).toString('hex');
    await retryConflicts(() =>
      this.#database.inTenant(tenantId, async (tx) => {
        const grants = await emptyHeads(tx, tenantId);
        const scopes = await restartScopes(tx, tenantId, epoch);
        await askForBackfill(tx);
        await appendToOutbox(tx, restartMessages(this.#origin, tenantId, epoch, scopes, grants));
      }),
    );
    this.#onCommitted();
  }
}

/**
 * The whole table is locked: a transaction that is just creating an entity has a row that nobody else can see
 * or lock, and its delta would belong to the epoch that ends here while its head said that it is in the
 * scope. Nobody would ever send it again.
 *
 * @returns all grants, to be told again
 */
async function emptyHeads(tx: Tx, tenantId: string): Promise<GrantChange[]> {
  await tx.query('LOCK TABLE entity_head IN EXCLUSIVE MODE');
  // Version 0 is below every registration's, so the same revision is projected once more.
  await tx.query(`UPDATE entity_head SET scopes = '{}', schema_version = 0 WHERE tenant_id = $1`, [tenantId]);
  const rows = await tx.query<{
    entity_type: string;
    entity_id: string;
    revision: string;
    grants: readonly ScopeGrant[];
  }>(
    `SELECT entity_type, entity_id, revision, grants FROM entity_head WHERE tenant_id = $1 AND grants IS NOT NULL`,
    [tenantId],
  );
  return rows.flatMap(({ entity_type: sourceType, entity_id: sourceId, revision, grants }) =>
    grants.map(({ scope, userId }) => ({
      tenantId,
      userId,
      scope,
      granted: true,
      sourceType,
      sourceId,
      revision: Number(revision),
    })),
  );
}

async function restartScopes(tx: Tx, tenantId: string, epoch: string): Promise<string[]> {
  await tx.query('SELECT FROM scope_head WHERE tenant_id = $1 ORDER BY tenant_id, scope FOR UPDATE', [
    tenantId,
  ]);
  const rows = await tx.query<{ scope: string }>(
    `UPDATE scope_head SET epoch = $2, sequence = 0, live_count = 0, digest = 0 WHERE tenant_id = $1 RETURNING scope`,
    [tenantId, epoch],
  );
  return rows.map(({ scope }) => scope);
}

/**
 * In the same transaction: after a crash in between, nobody else would know that the heads want their scopes
 * back.
 */
async function askForBackfill(tx: Tx): Promise<void> {
  await tx.query(
    `UPDATE backfill_progress SET reason = 'rebuild', sweep = true, cursor = NULL, done = false, entities = 0,
       run = run + 1, started_at = clock_timestamp(), finished_at = NULL`,
  );
}

function restartMessages(
  origin: string,
  tenantId: string,
  epoch: string,
  scopes: readonly string[],
  grants: readonly GrantChange[],
): ReturnType<typeof deltaMessages> {
  const start: ScopePosition = { epoch, sequence: 0n, count: 0, digest: 0n };
  const empty = { deltas: [], count: 0, digest: 0n };
  return deltaMessages(
    origin,
    scopes.map((scope) => ({ tenantId, scope, ...empty })),
    new Map(scopes.map((scope) => [scopeKey(tenantId, scope), start])),
    grants,
  );
}
