import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `deletion`: when an entity was deleted whose data before is still in `entity_head.last_data`, so that it
 * can be forgotten in time. An index on `entity_head` would do as well, but each of its updates would then
 * write index entries (see there: HOT).
 */
export class NoteDeletions1764000000100 implements MigrationInterface {
  readonly name = 'NoteDeletions1764000000100';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE deletion (
        tenant_id text COLLATE "C" NOT NULL,
        entity_type text COLLATE "C" NOT NULL,
        entity_id text COLLATE "C" NOT NULL,
        deleted_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, entity_type, entity_id)
      );
      CREATE INDEX deletion_age ON deletion (tenant_id, deleted_at);`);
    await runner.query(tenantPolicySql('deletion'));
    // What was deleted before there was such a table; one tenant after the other, because row level security
    // holds for the owner of the tables, too.
    await runner.query(`
      DO $$
      DECLARE v_tenant text;
      BEGIN
        FOR v_tenant IN SELECT id FROM known_tenant LOOP
          PERFORM set_config('app.tenant', v_tenant, true);
          INSERT INTO deletion (tenant_id, entity_type, entity_id, deleted_at)
            SELECT h.tenant_id, h.entity_type, h.entity_id, h.projected_at FROM entity_head h
            WHERE h.tenant_id = v_tenant AND h.deleted AND h.last_data IS NOT NULL;
        END LOOP;
        PERFORM set_config('app.tenant', '', true);
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE deletion');
  }
}
