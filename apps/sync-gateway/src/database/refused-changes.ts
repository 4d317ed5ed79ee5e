import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The last change of a device and entity that was refused and has no row of its own in the ledger: its id was
 * used by another change already, or was taken by one since. Later changes of the device count it, and would
 * wait for it.
 */
export class RefusedChanges1764000000995 implements MigrationInterface {
  readonly name = 'RefusedChanges1764000000995';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE refused_change (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        entity_type text NOT NULL,
        entity_id text NOT NULL,
        counter bigint NOT NULL,
        refused_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, device_id, entity_type, entity_id)
      );
      CREATE INDEX refused_change_age ON refused_change (refused_at);`);
    await runner.query(tenantPolicySql('refused_change'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE refused_change');
  }
}
