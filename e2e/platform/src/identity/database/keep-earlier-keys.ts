import { tenantPolicySql } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** `earlier_device_key`: keys that devices had before the one that `device` has, for tags that they made. */
export class KeepEarlierKeys1764600000000 implements MigrationInterface {
  readonly name = 'KeepEarlierKeys1764600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE earlier_device_key (
        tenant_id text NOT NULL,
        device_id text NOT NULL,
        hmac_key text NOT NULL,
        replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, device_id, replaced_at)
      );
      ALTER TABLE device ADD COLUMN previous_key_until timestamptz;`);
    await runner.query(tenantPolicySql('earlier_device_key'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE device DROP COLUMN previous_key_until; DROP TABLE earlier_device_key');
  }
}
