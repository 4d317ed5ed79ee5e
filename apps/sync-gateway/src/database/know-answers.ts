import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a gateway has to know of an entity beyond the read model, which is behind its owners for milliseconds,
 * or for longer; see read-model/read-known.sql.
 *
 * `mutation.revision` is the entity's revision at its owner after a mutation that was applied or merged.
 * `mutation.counter`, of the others, says which change of its device it would have been. `device_sequence`
 * has the highest `sequence` that a device sent, and when it last began to count from a lower one: it was
 * restored from a backup then, and may have forgotten what it wrote before.
 */
export class KnowAnswers1764000000950 implements MigrationInterface {
  readonly name = 'KnowAnswers1764000000950';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE mutation ADD COLUMN revision bigint, ADD COLUMN counter bigint;
      CREATE INDEX mutation_revision ON mutation (entity_id, entity_type, tenant_id, revision)
        WHERE revision IS NOT NULL;
      CREATE INDEX mutation_refused ON mutation (entity_id, entity_type, tenant_id, device_id, counter)
        WHERE revision IS NULL AND counter IS NOT NULL AND terminal_at IS NOT NULL;
      CREATE TABLE device_sequence (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        highest bigint NOT NULL,
        repeated_at timestamptz,
        PRIMARY KEY (tenant_id, device_id)
      ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);`);
    await runner.query(tenantPolicySql('device_sequence'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP TABLE device_sequence; ALTER TABLE mutation DROP COLUMN revision, DROP COLUMN counter',
    );
  }
}
