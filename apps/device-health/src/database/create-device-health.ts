import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is known of each device and of how far each scope has come. */
export class CreateDeviceHealth1764000000000 implements MigrationInterface {
  readonly name = 'CreateDeviceHealth1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE device (
        tenant_id text COLLATE "C" NOT NULL,
        device_id text COLLATE "C" NOT NULL,
        user_id text NOT NULL,
        last_seen_at timestamptz,
        connected boolean NOT NULL DEFAULT false,
        clock_offset_ms bigint,
        pending bigint,
        oldest_pending_at timestamptz,
        revoked_at timestamptz,
        status text NOT NULL DEFAULT 'healthy',
        reasons jsonb NOT NULL DEFAULT '[]',
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, device_id)
      );
      CREATE INDEX device_user ON device (tenant_id, user_id);
      CREATE TABLE device_cursor (
        tenant_id text COLLATE "C" NOT NULL,
        device_id text COLLATE "C" NOT NULL,
        scope text COLLATE "C" NOT NULL,
        epoch text NOT NULL,
        sequence bigint NOT NULL,
        acked_at timestamptz NOT NULL,
        purge_owed boolean NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, device_id, scope)
      );
      CREATE TABLE device_incident (
        tenant_id text COLLATE "C" NOT NULL,
        device_id text COLLATE "C" NOT NULL,
        event_id text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('full_resync', 'digest_mismatch')),
        at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, device_id, event_id)
      );
      -- How far a scope had come by the end of each minute: it answers since when a cursor is behind without
      -- keeping a row per delta or touching a row per device and delta.
      CREATE TABLE scope_minute (
        tenant_id text COLLATE "C" NOT NULL,
        scope text COLLATE "C" NOT NULL,
        minute timestamptz NOT NULL,
        epoch text NOT NULL,
        sequence bigint NOT NULL,
        PRIMARY KEY (tenant_id, scope, minute)
      );
      -- Jobs visit all tenants one by one; row level security hides them from a query over all.
      CREATE TABLE known_tenant (tenant_id text COLLATE "C" PRIMARY KEY);
    `);
    for (const table of ['device', 'device_cursor', 'device_incident', 'scope_minute']) {
      await runner.query(tenantPolicySql(table));
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE device, device_cursor, device_incident, scope_minute, known_tenant');
  }
}
