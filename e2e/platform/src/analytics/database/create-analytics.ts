import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The firehose as rows, and the tenants that have any: row level security hides them from a job that visits
 * all.
 */
export class CreateAnalytics1764000000000 implements MigrationInterface {
  readonly name = 'CreateAnalytics1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sync_event (
        tenant_id text NOT NULL,
        event_id text NOT NULL,
        type text NOT NULL,
        at timestamptz NOT NULL,
        event jsonb NOT NULL,
        PRIMARY KEY (tenant_id, event_id)
      );
      CREATE INDEX sync_event_newest ON sync_event (tenant_id, at DESC);
      CREATE TABLE analytics_tenant (tenant_id text PRIMARY KEY);`);
    await runner.query(tenantPolicySql('sync_event'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sync_event, analytics_tenant');
  }
}
