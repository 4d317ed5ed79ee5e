import { DATA_KEY_TABLE } from '@sync/service-kit';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `data_key`: by what keys of devices and the signing key are sealed. The columns stay: what is sealed is
 * text, in `private_jwk` a JSON string. The index finds the tenants, one after the other.
 */
export class SealKeys1764700000000 implements MigrationInterface {
  readonly name = 'SealKeys1764700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(DATA_KEY_TABLE);
    await runner.query('CREATE INDEX device_tenant_by_tenant ON device_tenant (tenant_id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX device_tenant_by_tenant; DROP TABLE data_key');
  }
}
