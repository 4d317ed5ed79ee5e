import type { ClientOwner, LoggedUpdate, StoredDocument } from '@sync/documents';
import type { Tx } from '@sync/postgres';
import { FOLDED_REPLICA, counterOf, type VectorClock } from '@sync/vector-clock';

/** The `state_hash` of a document whose entity was deleted. */
export const GONE = 'gone';

/** Whose document. */
export interface DocumentKey {
  readonly tenantId: string;
  readonly entityType: string;
  readonly entityId: string;
}

/** The row of `sync_document`. */
export interface DocumentRow extends StoredDocument {
  readonly stateHash: string;
  readonly bytesSinceBase: number;
}

const keyOf = ({ tenantId, entityType, entityId }: DocumentKey): string[] => [tenantId, entityType, entityId];

/** Documents that exist, or did. The caller holds the locks of their entities. */
export async function readDocuments(
  tx: Tx,
  tenantId: string,
  entityType: string,
  entityIds: readonly string[],
): Promise<Map<string, DocumentRow>> {
  const rows = await tx.call<{
    entity_id: string;
    epoch: number;
    epoch_replica: string;
    epoch_counter: string;
    epoch_folds: string;
    sequence: string;
    state: Buffer;
    state_vector: Buffer;
    state_hash: string;
    bytes_since_base: string;
  }>(
    'sync_read_documents',
    `SELECT entity_id, epoch, epoch_replica, epoch_counter, epoch_folds, sequence, state, state_vector,
       state_hash, bytes_since_base
     FROM sync_document WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = ANY ($3::text[])`,
    [tenantId, entityType, entityIds],
  );
  return new Map(
    rows.map((row): [string, DocumentRow] => [
      row.entity_id,
      {
        epoch: row.epoch,
        start: {
          replicaId: row.epoch_replica,
          counter: Number(row.epoch_counter),
          folds: Number(row.epoch_folds),
        },
        sequence: Number(row.sequence),
        state: row.state,
        stateVector: row.state_vector,
        stateHash: row.state_hash,
        bytesSinceBase: Number(row.bytes_since_base),
      },
    ]),
  );
}

/** Document → clientID → owner. */
export async function readClientOwners(
  tx: Tx,
  tenantId: string,
  entityType: string,
  entityIds: readonly string[],
): Promise<Map<string, Map<number, ClientOwner>>> {
  const rows = await tx.call<{
    entity_id: string;
    client_id: string;
    owner: string;
    device: string | null;
    closed: boolean;
  }>(
    'sync_read_document_clients',
    `SELECT entity_id, client_id, owner, device, closed FROM sync_document_client
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = ANY ($3::text[])`,
    [tenantId, entityType, entityIds],
  );
  const owners = new Map(entityIds.map((entityId) => [entityId, new Map<number, ClientOwner>()]));
  for (const { entity_id, client_id, owner, device, closed } of rows)
    owners.get(entity_id)?.set(Number(client_id), { id: owner, device, closed });
  return owners;
}

/** Nobody writes on under these clientIDs. */
export async function closeClients(tx: Tx, key: DocumentKey, clients: readonly number[]): Promise<void> {
  await tx.call(
    'sync_close_document_clients',
    `UPDATE sync_document_client SET closed = true
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND client_id = ANY ($4::bigint[])`,
    [...keyOf(key), clients],
  );
}

/**
 * The first change that the device `own` with this clock has not seen (see `hasSeenDot`); null when it has
 * seen all.
 */
export async function firstUnseen(
  tx: Tx,
  key: DocumentKey,
  epoch: number,
  clock: VectorClock,
  own: string,
): Promise<number | null> {
  const [row] = await tx.call<{ sequence: string | null }>(
    'sync_first_unseen_update',
    `SELECT min(sequence) AS sequence FROM sync_document_update
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND epoch = $4
       AND CASE
         WHEN NOT starts_with(replica, 'd:') THEN counter > coalesce(($5::jsonb ->> replica)::bigint, 0)
         WHEN $6 > folds THEN false
         WHEN replica <> $7 AND $6 < folds THEN true
         WHEN replica <> $7 AND counter <= folds THEN false
         ELSE counter > coalesce(($5::jsonb ->> replica)::bigint, 0)
       END`,
    [...keyOf(key), epoch, JSON.stringify(clock), counterOf(clock, FOLDED_REPLICA), own],
  );
  const sequence = row?.sequence ?? null;
  return sequence === null ? null : Number(sequence);
}

/**
 * The youngest kept state at or before a sequence, and every change after it; null when the log does not
 * reach back so far.
 */
export async function readHistory(
  tx: Tx,
  key: DocumentKey,
  epoch: number,
  sequence: number,
): Promise<{ readonly base: Uint8Array; readonly updates: readonly LoggedUpdate[] } | null> {
  const [base] = await tx.call<{ sequence: string; state: Buffer }>(
    'sync_read_document_base',
    `SELECT sequence, state FROM sync_document_base
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND epoch = $4 AND sequence <= $5
     ORDER BY sequence DESC LIMIT 1`,
    [...keyOf(key), epoch, sequence],
  );
  if (!base) return null;
  const rows = await tx.call<{
    sequence: string;
    doc_update: Buffer;
    replica: string;
    counter: string;
    folds: string;
    mutation_id: string | null;
  }>(
    'sync_read_document_log',
    `SELECT sequence, doc_update, replica, counter, folds, mutation_id FROM sync_document_update
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND epoch = $4 AND sequence > $5
     ORDER BY sequence`,
    [...keyOf(key), epoch, base.sequence],
  );
  return {
    base: base.state,
    updates: rows.map((row) => ({
      sequence: Number(row.sequence),
      update: row.doc_update,
      dot: { replicaId: row.replica, counter: Number(row.counter), folds: Number(row.folds) },
      mutationId: row.mutation_id,
    })),
  };
}

/**
 * What was written to a document, as far back as the log has it, with what was deleted since; the newest
 * first to be kept where it is more than `maxBytes`.
 */
export async function readWritten(
  tx: Tx,
  key: DocumentKey,
  epoch: number,
  maxBytes: number,
): Promise<Uint8Array[]> {
  const rows = await tx.call<{ doc_update: Buffer }>(
    'sync_read_document_written',
    `WITH oldest AS (
       SELECT state, sequence FROM sync_document_base
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND epoch = $4 ORDER BY sequence LIMIT 1
     ), log AS (
       SELECT doc_update, sum(length(doc_update)) OVER (ORDER BY sequence DESC) AS bytes
       FROM sync_document_update
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND epoch = $4 AND doc_update <> ''
         AND sequence > (SELECT sequence FROM oldest)
     )
     SELECT state AS doc_update FROM oldest UNION ALL SELECT doc_update FROM log WHERE bytes <= $5`,
    [...keyOf(key), epoch, maxBytes],
  );
  return rows.map((row) => row.doc_update);
}

/** What a batch did to one document. */
export interface DocumentWrite {
  readonly key: DocumentKey;
  readonly row: DocumentRow;
  readonly logged: readonly LoggedUpdate[];
  readonly claims: ReadonlyMap<number, Pick<ClientOwner, 'id' | 'device'>>;
  /** Keeps `row.state` as a base to go back to. */
  readonly keepBase: boolean;
  /** Where the document stood before concurrent edits were merged. */
  readonly backup: {
    readonly sequence: number;
    readonly stateHash: string;
    readonly mutationId: string;
  } | null;
}

const WRITE_DOCUMENT = `
WITH document AS (
  INSERT INTO sync_document VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $16)
  ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
    epoch = excluded.epoch, epoch_replica = excluded.epoch_replica, epoch_counter = excluded.epoch_counter,
    epoch_folds = excluded.epoch_folds, sequence = excluded.sequence, state = excluded.state,
    state_vector = excluded.state_vector, state_hash = excluded.state_hash,
      bytes_since_base = excluded.bytes_since_base
), logged AS (
  INSERT INTO sync_document_update
    (tenant_id, entity_type, entity_id, epoch, sequence, doc_update, replica, counter, folds, mutation_id)
  SELECT $1, $2, $3, $4, (r ->> 'sequence')::bigint, decode(r ->> 'update', 'base64'),
    r -> 'dot' ->> 'replicaId',
         (r -> 'dot' ->> 'counter')::bigint, (r -> 'dot' ->> 'folds')::bigint, (r ->> 'mutationId')::uuid
  FROM jsonb_array_elements($12::jsonb) AS r
), claimed AS (
  INSERT INTO sync_document_client AS c (tenant_id, entity_type, entity_id, client_id, owner, device)
  SELECT $1, $2, $3, (r ->> 0)::bigint, r ->> 1, r ->> 2 FROM jsonb_array_elements($13::jsonb) AS r
  ON CONFLICT (tenant_id, entity_type, entity_id, client_id) DO UPDATE SET device = excluded.device
  WHERE c.owner = excluded.owner AND c.device IS NULL
), kept AS (
  INSERT INTO sync_document_base (tenant_id, entity_type, entity_id, epoch, sequence, state)
  SELECT $1, $2, $3, $4, $7, $8 WHERE $14::boolean
)
INSERT INTO sync_document_backup (tenant_id, entity_type, entity_id, epoch, sequence, state_hash, mutation_id)
SELECT $1, $2, $3, $4, (b ->> 'sequence')::bigint, b ->> 'stateHash', (b ->> 'mutationId')::uuid
FROM jsonb_array_elements($15::jsonb) AS b ON CONFLICT DO NOTHING`;

/** Writes one document in one statement. */
export async function writeDocument(tx: Tx, write: DocumentWrite): Promise<void> {
  const { key, row, logged, claims, keepBase, backup } = write;
  const log = logged.map(({ update, ...entry }) => ({
    ...entry,
    update: Buffer.from(update).toString('base64'),
  }));
  await tx.call('sync_write_document', WRITE_DOCUMENT, [
    ...keyOf(key),
    row.epoch,
    row.start.replicaId,
    row.start.counter,
    row.sequence,
    Buffer.from(row.state),
    Buffer.from(row.stateVector),
    row.stateHash,
    row.bytesSinceBase,
    JSON.stringify(log),
    JSON.stringify([...claims].map(([client, { id, device }]) => [client, id, device])),
    keepBase,
    JSON.stringify(backup === null ? [] : [backup]),
    row.start.folds,
  ]);
}

/**
 * Forgets what nobody can go back to any more: changes and bases before the youngest base that is older than
 * `retentionDays`, and pointers of that age. Of each replica the newest forgotten change stays, without its
 * bytes: it tells who has not seen everything that was forgotten, and whose edits therefore cannot be
 * compared. Called when a base is kept, so that it costs nothing per push.
 */
export async function pruneHistory(tx: Tx, key: DocumentKey, retentionDays: number): Promise<void> {
  await tx.call(
    'sync_prune_document',
    `WITH floor AS (
       SELECT epoch, sequence FROM sync_document_base
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND at < now() - make_interval(days => $4)
       ORDER BY epoch DESC, sequence DESC LIMIT 1
     ), newest AS (
       SELECT u.epoch, u.replica, f.sequence AS until, max(u.sequence) AS last
       FROM sync_document_update u JOIN floor f ON u.epoch = f.epoch AND u.sequence <= f.sequence
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3
       GROUP BY u.epoch, u.replica, f.sequence
     ), older AS (
       DELETE FROM sync_document_update u USING floor f
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND u.epoch < f.epoch
     ), log AS (
       DELETE FROM sync_document_update u USING newest n
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3
         AND u.epoch = n.epoch AND u.sequence <= n.until AND u.replica = n.replica AND u.sequence < n.last
     ), marks AS (
       UPDATE sync_document_update u SET doc_update = '' FROM newest n
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3
         AND u.epoch = n.epoch AND u.sequence = n.last AND u.doc_update <> ''
     ), bases AS (
       DELETE FROM sync_document_base b USING floor f
       WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3
         AND (b.epoch < f.epoch OR (b.epoch = f.epoch AND b.sequence < f.sequence))
     )
     DELETE FROM sync_document_backup
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = $3 AND at < now() - make_interval(days => $4)`,
    [...keyOf(key), retentionDays],
  );
}
