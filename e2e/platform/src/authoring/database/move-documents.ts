import { stateVectorOf, encodeStateVector } from '@sync/documents';
import { stateHash } from '@sync/documents/node';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Texts move from the service's own column to the tables of the SDK, which log every change. Their clientIDs
 * belong to nobody from then on.
 */
export class MoveDocuments1764000000100 implements MigrationInterface {
  readonly name = 'MoveDocuments1764000000100';

  async up(runner: QueryRunner): Promise<void> {
    const tenants = (await runner.query('SELECT tenant_id FROM sync_tenant')) as { tenant_id: string }[];
    for (const { tenant_id: tenantId } of tenants) {
      await runner.query(`SELECT set_config('app.tenant', $1, true)`, [tenantId]);
      await moveTenant(runner, tenantId);
    }
    await runner.query('ALTER TABLE document DROP COLUMN doc_snapshot');
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

async function moveTenant(runner: QueryRunner, tenantId: string): Promise<void> {
  const rows = (await runner.query('SELECT entity_id, doc_snapshot FROM document WHERE tenant_id = $1', [
    tenantId,
  ])) as { entity_id: string; doc_snapshot: Buffer }[];
  for (const { entity_id: entityId, doc_snapshot: state } of rows) {
    const vector = Buffer.from(encodeStateVector(stateVectorOf(state)));
    await runner.query(`INSERT INTO sync_document VALUES ($1, 'document', $2, 1, '', 0, 1, $3, $4, $5, 0)`, [
      tenantId,
      entityId,
      state,
      vector,
      stateHash(state),
    ]);
    await runner.query(
      `INSERT INTO sync_document_base (tenant_id, entity_type, entity_id, epoch, sequence, state)
       VALUES ($1, 'document', $2, 1, 1, $3)`,
      [tenantId, entityId, state],
    );
  }
}
