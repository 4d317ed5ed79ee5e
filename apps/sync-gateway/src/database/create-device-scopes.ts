import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What each device holds and how far it has stored it: the SyncCursors.
 *
 * A `device_scope` row is created when the first page of a full resync is served and removed by the purge receipt, so "the row exists"
 * means "the device may hold data of this scope". `resync_*` belongs to a full resync that the server asks for after a digest mismatch:
 * the reason while one is due, when the device was told, and from when on the next one may be asked for.
 */
export class CreateDeviceScopes1764000000100 implements MigrationInterface {
  readonly name = 'CreateDeviceScopes1764000000100';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE device_scope (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        scope text NOT NULL,
        epoch text NOT NULL,
        sequence bigint NOT NULL,
        served_at timestamptz NOT NULL,
        acked_at timestamptz,
        resync_reason text,
        resync_told_at timestamptz,
        resync_at timestamptz,
        digest_mismatches integer NOT NULL DEFAULT 0,
        changed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, user_id, device_id, scope)
      ) WITH (fillfactor = 70);

      CREATE TABLE live_ticket (
        id text PRIMARY KEY,
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        expires_at timestamptz NOT NULL
      );
      CREATE INDEX live_ticket_expiry ON live_ticket (tenant_id, expires_at);

      -- One key for all replicas, made here so that a first start needs no secret from outside; CURSOR_SECRET overrides it.
      CREATE TABLE gateway_secret (name text PRIMARY KEY, value text NOT NULL);
      INSERT INTO gateway_secret VALUES
        ('cursor', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));`);
    for (const table of ['device_scope', 'live_ticket']) await runner.query(tenantPolicySql(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE device_scope, live_ticket, gateway_secret');
  }
}
