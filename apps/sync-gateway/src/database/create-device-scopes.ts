import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What each device holds and how far it has stored it: the SyncCursors.
 *
 * A `device_scope` row is created when the first page of a full resync is served and removed by the purge
 * receipt, so "the row exists" means "the device may hold data of this scope". `generation` is when the
 * device's copy was begun or, after a digest mismatch, declared bad (server time, epoch ms): a cursor token
 * carries it, and a token of another generation starts a full resync. `resync_reason` is set from the
 * mismatch until a page of the new generation has been served; `resync_at` is the earliest time for the next
 * mismatch to count. `changed_at` moves with everything that a pull must notice, which an advancing cursor is
 * not.
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
        generation bigint NOT NULL,
        epoch text NOT NULL,
        sequence bigint NOT NULL,
        served_at timestamptz NOT NULL,
        acked_at timestamptz,
        resync_reason text,
        resync_at timestamptz,
        digest_mismatches integer NOT NULL DEFAULT 0,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, user_id, device_id, scope)
      ) WITH (fillfactor = 70);

      CREATE TABLE live_ticket (
        id text PRIMARY KEY,
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        expires_at timestamptz NOT NULL
      );
      CREATE INDEX live_ticket_of_device ON live_ticket (tenant_id, user_id, device_id);

      -- One row per revocation, so that of all the replicas that hear of it one reports it.
      CREATE TABLE device_revocation (
        tenant_id text NOT NULL,
        user_id text NOT NULL,
        device_id text NOT NULL,
        revoked_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, user_id, device_id)
      );

      -- One key for all replicas, made here so that a first start needs no secret from outside; CURSOR_SECRET overrides it.
      CREATE TABLE gateway_secret (name text PRIMARY KEY, value text NOT NULL);
      INSERT INTO gateway_secret VALUES
        ('cursor', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));`);
    for (const table of ['device_scope', 'live_ticket', 'device_revocation'])
      await runner.query(tenantPolicySql(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE device_scope, live_ticket, device_revocation, gateway_secret');
  }
}
