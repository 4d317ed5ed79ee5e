import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The ledger: every LocalMutation that was ever answered, with its outcome. `outcome` is the wire text of the latest Outcome; it is
 * terminal when `terminal_at` is set, and waits in the device's pulls until `acked_at` is set.
 */
export class CreateLedger1764000000200 implements MigrationInterface {
  readonly name = 'CreateLedger1764000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE mutation (
        tenant_id text NOT NULL,
        mutation_id uuid NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        outcome text NOT NULL,
        outcome_status text NOT NULL,
        terminal_at timestamptz,
        acked_at timestamptz,
        PRIMARY KEY (tenant_id, mutation_id)
      );
      CREATE INDEX mutation_outcome_waiting ON mutation (tenant_id, user_id, device_id, terminal_at, mutation_id)
        WHERE terminal_at IS NOT NULL AND acked_at IS NULL;`);
    await runner.query(tenantPolicySql('mutation'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE mutation');
  }
}
