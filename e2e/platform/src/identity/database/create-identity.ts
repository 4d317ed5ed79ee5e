import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `signing_key`: one key pair for ever, so that a restart keeps tokens valid. `device`: bound devices with
 * their HMAC keys. `device_tenant` finds a device's tenant for the one request that does not name it; it
 * holds nothing else and has no policy.
 */
export class CreateIdentity1764000000000 implements MigrationInterface {
  readonly name = 'CreateIdentity1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE signing_key (
        name text PRIMARY KEY,
        private_jwk jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE device (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        user_id text NOT NULL,
        hmac_key text NOT NULL,
        bound_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz,
        PRIMARY KEY (tenant_id, device_id)
      );
      CREATE TABLE device_tenant (device_id text PRIMARY KEY, tenant_id text NOT NULL);`);
    await runner.query(tenantPolicySql('device'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE signing_key, device, device_tenant');
  }
}
