import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a document consists of besides its newest delta, which is the row of `scope_delta` as with any entity:
 * a whole document (`place` 0) and the increments after it, each at the position that it had in its scope. So
 * a page is all rows behind the cursor, whichever table they are in.
 *
 * Increments in `scope_delta` itself, under a longer key, were the alternative: every look-up of an entity's
 * head would have to say which of its rows it means. Compaction makes one whole document of all parts and the
 * newest delta, at the position of that delta.
 *
 * `weight` is the bytes of the increments up to this one. Scopes without documents have no part and are not
 * marked, so nothing changes for them.
 */
export class DocumentParts1764000000700 implements MigrationInterface {
  readonly name = 'DocumentParts1764000000700';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE scope_document_part (
        tenant_id text NOT NULL,
        scope text NOT NULL,
        sequence bigint NOT NULL,
        entity_type text NOT NULL,
        entity_id text NOT NULL,
        place integer NOT NULL,
        weight bigint NOT NULL,
        wire text NOT NULL,
        PRIMARY KEY (tenant_id, scope, sequence)
      ) WITH (autovacuum_vacuum_scale_factor = 0.05);
      CREATE INDEX scope_document_part_of_entity
        ON scope_document_part (tenant_id, scope, entity_type, entity_id, place);
      ALTER TABLE scope_head ADD COLUMN documents boolean NOT NULL DEFAULT false;`);
    await runner.query(tenantPolicySql('scope_document_part'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE scope_head DROP COLUMN documents; DROP TABLE scope_document_part;');
  }
}
