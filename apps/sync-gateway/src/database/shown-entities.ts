import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Large entities that outcomes show, once for each user and device and not once for each outcome: 100 refused changes
 * of a note of 720 KB were 72 MB of ledger, and as much in each answer.
 *
 * `mutation.shows` is true where `outcome` lacks its `current` for that reason. What a row shows is the
 * newest state that the device was shown, so a repeated outcome is never older than it was at first.
 */
export class ShownEntities1764000000990 implements MigrationInterface {
  readonly name = 'ShownEntities1764000000990';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE mutation ADD COLUMN shows boolean;
      CREATE TABLE shown_entity (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        scope text NOT NULL,
        entity_type text NOT NULL,
        entity_id text NOT NULL,
        clock jsonb NOT NULL,
        wire text NOT NULL,
        shown_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, user_id, device_id, scope, entity_type, entity_id)
      );
      CREATE INDEX shown_entity_age ON shown_entity (shown_at);`);
    await runner.query(tenantPolicySql('shown_entity'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE shown_entity; ALTER TABLE mutation DROP COLUMN shows');
  }
}
