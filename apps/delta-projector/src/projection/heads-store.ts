import type { EntityHead, FieldWrites, JsonObject, ScopeGrant } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import type { VectorClock } from '@sync/vector-clock';
import type { ScopePosition } from './delta-messages.ts';
import { entityKey, type KnownEntities, type ProjectionMode } from './project-entities.ts';
import { noteDeletions } from './forget-deleted.ts';
import type { RenderedChange } from './render-change.ts';
import { scopeKey, type ScopeChange } from './scope-changes.ts';

export interface EntityRef {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
}

type HeadRow = { readonly tenant_id: string; readonly entity_type: string; readonly entity_id: string } & (
  | { readonly quarantined: true }
  | {
      readonly quarantined: false;
      readonly revision: string;
      readonly schema_version: number;
      readonly deleted: boolean;
      readonly clock: VectorClock;
      readonly last_data: JsonObject | null;
      readonly scopes: string[];
      readonly left_scopes: string[] | null;
      readonly grants: ScopeGrant[] | null;
      readonly field_writes: FieldWrites | null;
    }
);

/**
 * Locks and reads the heads of these entities (each named once), and sets the transaction's tenants: the
 * first statement. In `replay` their quarantine is locked as well, so that no consumer adds a dead letter
 * meanwhile.
 */
export async function loadHeads(
  tx: Pick<Tx, 'call'>,
  tenants: ReadonlySet<string>,
  entities: readonly EntityRef[],
  mode: ProjectionMode,
): Promise<KnownEntities> {
  const rows = await tx.call<HeadRow>('load_heads', 'SELECT * FROM load_heads($1, $2, $3, $4, $5)', [
    [...tenants].join(','),
    entities.map(({ tenantId }) => tenantId),
    entities.map(({ entityType }) => entityType),
    entities.map(({ entityId }) => entityId),
    mode === 'replay',
  ]);
  const heads = new Map<string, EntityHead>();
  const quarantined = new Set<string>();
  for (const row of rows) {
    const key = entityKey(row.tenant_id, row.entity_type, row.entity_id);
    if (row.quarantined) quarantined.add(key);
    else heads.set(key, headOf(row));
  }
  return { heads, quarantined };
}

function headOf(row: Extract<HeadRow, { quarantined: false }>): EntityHead {
  return {
    revision: Number(row.revision),
    schemaVersion: row.schema_version,
    clock: row.clock,
    data: row.deleted ? null : row.last_data,
    deleted: row.deleted,
    deletedData: row.deleted ? row.last_data : null,
    scopes: row.scopes,
    leftScopes: row.left_scopes ?? [],
    grants: row.grants ?? [],
    fieldWrites: row.field_writes ?? {},
  };
}

interface ScopeRow {
  readonly tenant_id: string;
  readonly scope: string;
  readonly epoch: string;
  readonly sequence: string;
  readonly live_count: string;
  readonly digest: string;
}

/**
 * Writes the heads, then allocates the positions of all deltas, scope by scope in key order.
 *
 * @param epoch for scopes that have no head yet
 * @returns the scopes after the batch, by `scopeKey`
 * @throws SQLSTATE 40001 when another transaction has just created one of the entities: nothing is wrong,
 * start over
 */
export async function saveProjection(
  tx: Pick<Tx, 'call'>,
  changes: readonly RenderedChange[],
  scopes: readonly ScopeChange[],
  epoch: string,
): Promise<ReadonlyMap<string, ScopePosition>> {
  const last = changes.filter(({ change }) => change.isLast);
  const inserted = last.filter(({ change }) => !change.isKnown);
  const updated = last.filter(({ change }) => change.isKnown);
  const scopeTexts = scopes.map(({ tenantId, scope, deltas, count, digest }) =>
    JSON.stringify({ t: tenantId, s: scope, deltas: deltas.length, count, digest: String(digest) }),
  );
  const rows = await tx.call<ScopeRow>('save_projection', 'SELECT * FROM save_projection($1, $2, $3, $4)', [
    jsonArray(inserted.map(({ headJson }) => headJson)),
    jsonArray(updated.map(({ headJson }) => headJson)),
    jsonArray(scopeTexts),
    epoch,
  ]);
  await noteDeletions(tx, last);
  return new Map(
    rows.map(({ tenant_id: tenantId, scope, epoch: current, sequence, live_count: count, digest }) => [
      scopeKey(tenantId, scope),
      { epoch: current, sequence: BigInt(sequence), count: Number(count), digest: BigInt(digest) },
    ]),
  );
}

function jsonArray(texts: readonly string[]): string | null {
  return texts.length === 0 ? null : `[${texts.join(',')}]`;
}
