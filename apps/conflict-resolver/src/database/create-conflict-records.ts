import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** ConflictRecords: what was decided and everything that lost. Rows are only ever added. */
export class CreateConflictRecords1764000000000 implements MigrationInterface {
  readonly name = 'CreateConflictRecords1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE conflict_record (
        tenant_id text COLLATE "C" NOT NULL,
        conflict_id uuid NOT NULL,
        status text NOT NULL CHECK (status IN ('open', 'auto_resolved', 'resolved')),
        policy text NOT NULL,
        entity_type text NOT NULL,
        entity_id text NOT NULL,
        scope text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        mutation_id uuid NOT NULL,
        fields text[] NOT NULL,
        draft jsonb NOT NULL,
        detected_at timestamptz NOT NULL,
        resolved_at timestamptz,
        resolution text,
        PRIMARY KEY (tenant_id, conflict_id)
      );
      -- Lists are newest first within a tenant; conflict_id makes the order total, so that pages never skip.
      CREATE INDEX conflict_record_newest ON conflict_record (tenant_id, detected_at DESC, conflict_id DESC);
    `);
    await runner.query(tenantPolicySql('conflict_record'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE conflict_record');
  }
}
