import type { MigrationInterface, QueryRunner } from 'typeorm';

/** `left_scopes`: where a deleted entity was deleted, so that who deletes it once more is told there, too. */
export class KeepLeftScopes1764000000200 implements MigrationInterface {
  readonly name = 'KeepLeftScopes1764000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE entity_head ADD COLUMN left_scopes text[]');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE entity_head DROP COLUMN left_scopes');
  }
}
