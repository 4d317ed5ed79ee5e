import type { EntityHead, FieldWrites, JsonObject, ScopeGrant } from '@sync/domain';
import { arrayText, inOrder, type Tx } from '@sync/postgres';
import type { VectorClock } from '@sync/vector-clock';
import type { ScopePosition } from './delta-messages.ts';
import type { EntityChange } from './entity-change.ts';
import { noteDeletions } from './forget-deleted.ts';
import { entityKey, type KnownEntities, type ProjectionMode } from './project-entities.ts';
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
  return { heads, quarantined, created: new Map() };
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

/** An array for each column of `create_heads` and `update_heads`, or its lines. */
function headColumns(changes: readonly RenderedChange[]): (string | null)[] {
  const column = (pick: (change: EntityChange) => string | number | boolean): string =>
    arrayText(changes.map(({ change }) => pick(change)));
  const list = (pick: (head: EntityHead) => readonly string[]): string | null =>
    lines(changes.map(({ change }) => pick(change.after).join(' ')));
  return [
    column(({ tenantId }) => tenantId),
    column(({ entityType }) => entityType),
    column(({ entityId }) => entityId),
    column(({ after }) => after.revision),
    column(({ after }) => after.schemaVersion),
    column(({ after }) => after.deleted),
    column(({ committedAtMs }) => new Date(committedAtMs).toISOString()),
    lines(changes.map(({ kept }) => kept.clock)),
    lines(changes.map(({ kept }) => kept.data)),
    list(({ scopes }) => scopes),
    list(({ leftScopes }) => leftScopes),
    lines(
      changes.map(({ change: { after } }) => (after.grants.length > 0 ? JSON.stringify(after.grants) : '')),
    ),
    lines(changes.map(({ kept }) => kept.fieldWrites)),
  ];
}

/** Null where all are empty, as they mostly are. */
function lines(texts: readonly string[]): string | null {
  return texts.every((text) => text === '') ? null : texts.join('\n');
}

const CREATE = `SELECT create_heads($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS created`;
const UPDATE = `SELECT update_heads($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`;

/**
 * Creates heads for which nobody has looked; sets the transaction's tenants, too.
 *
 * @returns false where one of them is there already, or quarantined: then nothing was written, and they have to
 * be looked for
 */
export async function createAhead(
  tx: Pick<Tx, 'call'>,
  tenants: ReadonlySet<string>,
  changes: readonly RenderedChange[],
): Promise<boolean> {
  const values = [[...tenants].join(','), ...headColumns(changes)];
  const [row] = await tx.call<{ created: boolean }>('create_heads', CREATE, values);
  return row?.created === true;
}

/**
 * Writes the heads that are not there yet as the batch leaves them, and gives all deltas their positions, scope
 * by scope in key order.
 *
 * @param created has the keys of those whose heads are written already
 * @param epoch for scopes that have no head yet
 * @returns the scopes after the batch, by `scopeKey`
 * @throws SQLSTATE 40001 when another transaction has just created one of the entities: nothing is wrong,
 * start over
 */
export async function saveProjection(
  tx: Pick<Tx, 'call'>,
  changes: readonly RenderedChange[],
  created: KnownEntities['created'],
  scopes: readonly ScopeChange[],
  epoch: string,
): Promise<ReadonlyMap<string, ScopePosition>> {
  const last = changes.filter(({ change }) => change.isLast);
  const unwritten = last.filter(({ change: { tenantId, entityType, entityId } }) => {
    return !created.has(entityKey(tenantId, entityType, entityId));
  });
  const [, , , positions] = await inOrder([
    createHeads(
      tx,
      unwritten.filter(({ change }) => !change.isKnown),
    ),
    updateHeads(
      tx,
      unwritten.filter(({ change }) => change.isKnown),
    ),
    noteDeletions(tx, last),
    moveScopes(tx, scopes, epoch),
  ]);
  return positions;
}

/** @throws SQLSTATE 40001 */
async function createHeads(tx: Pick<Tx, 'call'>, changes: readonly RenderedChange[]): Promise<void> {
  if (changes.length > 0) await tx.call('create_heads', CREATE, [null, ...headColumns(changes)]);
}

async function updateHeads(tx: Pick<Tx, 'call'>, changes: readonly RenderedChange[]): Promise<void> {
  if (changes.length > 0) await tx.call('update_heads', UPDATE, headColumns(changes));
}

async function moveScopes(
  tx: Pick<Tx, 'call'>,
  scopes: readonly ScopeChange[],
  epoch: string,
): Promise<ReadonlyMap<string, ScopePosition>> {
  if (scopes.length === 0) return new Map();
  const column = (pick: (scope: ScopeChange) => string | number): string => arrayText(scopes.map(pick));
  const rows = await tx.call<ScopeRow>('move_scopes', 'SELECT * FROM move_scopes($1, $2, $3, $4, $5, $6)', [
    column(({ tenantId }) => tenantId),
    column(({ scope }) => scope),
    column(({ deltas }) => deltas.length),
    column(({ count }) => count),
    column(({ digest }) => String(digest)),
    epoch,
  ]);
  return new Map(
    rows.map(({ tenant_id: tenantId, scope, epoch: current, sequence, live_count: count, digest }) => [
      scopeKey(tenantId, scope),
      { epoch: current, sequence: BigInt(sequence), count: Number(count), digest: BigInt(digest) },
    ]),
  );
}
