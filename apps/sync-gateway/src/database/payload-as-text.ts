import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A payload is canonical JSON text when it comes, and only ever read as text: as `json` it was checked once
 * more at each write.
 */
export class PayloadAsText1764000000400 implements MigrationInterface {
  readonly name = 'PayloadAsText1764000000400';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mutation ALTER COLUMN payload TYPE text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mutation ALTER COLUMN payload TYPE json USING payload::json');
  }
}
