import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A document keeps its Yjs state as bytes: base64 in JSON would be a third larger, and compressed worse. */
export class CreateAuthoring1764000000000 implements MigrationInterface {
  readonly name = 'CreateAuthoring1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE document (
        tenant_id text COLLATE "C" NOT NULL,
        entity_id text COLLATE "C" NOT NULL,
        course_id text NOT NULL,
        title text NOT NULL,
        doc_snapshot bytea NOT NULL,
        PRIMARY KEY (tenant_id, entity_id)
      )`);
    await runner.query(tenantPolicySql('document'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE document');
  }
}
