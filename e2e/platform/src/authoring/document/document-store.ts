import type { EntityData, EntityStore } from '@sync/owner-sdk';

/** The plain fields of a document; the SDK keeps the text. */
export interface DocumentData {
  readonly courseId: string;
  readonly title: string;
}

/** The store of a service with columns of its own, instead of the SDK's ready-made one. */
export const documentStore: EntityStore = {
  async load(tx, tenantId, entityIds) {
    const rows = await tx.call<{ entity_id: string; course_id: string; title: string }>(
      'load_documents',
      `SELECT entity_id, course_id, title FROM document
       WHERE tenant_id = $1 AND entity_id = ANY ($2::text[])`,
      [tenantId, entityIds],
    );
    return new Map(
      rows.map((row): [string, EntityData] => [row.entity_id, { courseId: row.course_id, title: row.title }]),
    );
  },

  async store(tx, tenantId, rows) {
    const kept = rows.filter(({ json }) => json !== null);
    const documents = kept.map(({ entityId, json }) => `{"id":"${entityId}","data":${json ?? ''}}`);
    const gone = rows.filter(({ json }) => json === null).map(({ entityId }) => entityId);
    await tx.call(
      'store_documents',
      `WITH gone AS (DELETE FROM document WHERE tenant_id = $1 AND entity_id = ANY ($3::text[]))
       INSERT INTO document (tenant_id, entity_id, course_id, title)
       SELECT $1, id, data ->> 'courseId', data ->> 'title'
       FROM json_to_recordset($2::json) AS r (id text, data json) ORDER BY id
       ON CONFLICT (tenant_id, entity_id) DO UPDATE SET course_id = excluded.course_id, title = excluded.title`,
      [tenantId, `[${documents.join(',')}]`, gone],
    );
  },
};
