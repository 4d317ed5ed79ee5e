import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Devices that sent a mutation which the ledger has from another device of their user, as after a reinstall:
 * its outcome comes with their pulls, too, until they have acked it.
 */
export class OutcomeAskers1764000000960 implements MigrationInterface {
  readonly name = 'OutcomeAskers1764000000960';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outcome_asker (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        mutation_id uuid NOT NULL,
        asked_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, user_id, device_id, mutation_id)
      )`);
    await runner.query(tenantPolicySql('outcome_asker'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE outcome_asker');
  }
}
