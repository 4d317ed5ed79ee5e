import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The version that a service registered itself, beside the one that counts, which an operator may have raised.
 * What is there already was registered by its service.
 */
export class RegisteredByOwner1764000001020 implements MigrationInterface {
  readonly name = 'RegisteredByOwner1764000001020';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE registration ADD COLUMN own_version integer;
      UPDATE registration SET own_version = schema_version;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE registration DROP COLUMN own_version');
  }
}
