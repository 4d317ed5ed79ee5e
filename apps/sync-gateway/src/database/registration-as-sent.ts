import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A registration holds values of its service (what upcasters fill in); `jsonb` would write their numbers out.
 * A few rows: written anew in no time.
 */
export class RegistrationAsSent1764000000980 implements MigrationInterface {
  readonly name = 'RegistrationAsSent1764000000980';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE registration ALTER COLUMN spec TYPE json');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE registration ALTER COLUMN spec TYPE jsonb');
  }
}
