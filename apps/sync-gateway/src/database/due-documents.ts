import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The parts of documents that ought to be compacted: a handful, so that looking for them costs nothing. */
export class DueDocuments1764000000850 implements MigrationInterface {
  readonly name = 'DueDocuments1764000000850';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX scope_document_part_due ON scope_document_part (tenant_id, scope, entity_type, entity_id)
        WHERE place >= 64 OR weight >= 262144`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX scope_document_part_due');
  }
}
