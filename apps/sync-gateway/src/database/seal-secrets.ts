import { DATA_KEY_TABLE } from '@sync/service-kit';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** `data_key`: by what the key of the cursor tokens is sealed. */
export class SealSecrets1764000001100 implements MigrationInterface {
  readonly name = 'SealSecrets1764000001100';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(DATA_KEY_TABLE);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE data_key');
  }
}
