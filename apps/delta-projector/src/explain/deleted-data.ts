import { readJson } from '@sync/domain';
import { firstThatFit, RemoteError } from '@sync/messaging';
import type { JsonObject } from '@sync/domain';
import type { Database } from '@sync/postgres';
import { DeletedDataRequest, validator, type DeletedDataReply } from '@sync/protocol';
import { faultsText } from '../dead-letters/list-dead-letters.ts';

interface DeletedRow {
  readonly revision: string | null;
  /** JSON text. */
  readonly data: string | null;
}

/** Of the data in one answer; the first always goes, whatever it has. */
const MAX_DATA_BYTES = 512 * 1024;
const UNKNOWN: DeletedDataReply['entities'][number] = { revision: null, data: null };

const checkRequest = validator(DeletedDataRequest);

/**
 * Answers `subjects.deletedData`.
 *
 * @throws RemoteError `schema_invalid`
 */
export async function answerDeletedData(database: Database, body: unknown): Promise<DeletedDataReply> {
  const checked = checkRequest(body);
  if (!checked.ok) throw new RemoteError('schema_invalid', faultsText(checked.faults));
  const { tenantId, entities } = checked.value;
  const rows = await database.inTenant(tenantId, (tx) =>
    tx.query<DeletedRow>(
      `SELECT h.revision, CASE WHEN h.deleted THEN h.last_data::text END AS data
       FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS k (type, id, place)
       LEFT JOIN LATERAL (
         SELECT * FROM entity_head e
         WHERE e.tenant_id = $1 AND e.entity_type = k.type AND e.entity_id = k.id LIMIT 1
       ) h ON true
       ORDER BY k.place`,
      [tenantId, entities.map(({ entityType }) => entityType), entities.map(({ entityId }) => entityId)],
    ),
  );
  const fitting = firstThatFit(rows, MAX_DATA_BYTES, ({ data }) => Buffer.byteLength(data ?? ''));
  return { entities: fitting.map(deletedOf) };
}

function deletedOf({ revision, data }: DeletedRow): DeletedDataReply['entities'][number] {
  if (revision === null) return UNKNOWN;
  return { revision: Number(revision), data: data === null ? null : (readJson(data) as JsonObject | null) };
}
