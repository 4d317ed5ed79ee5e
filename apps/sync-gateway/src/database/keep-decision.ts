import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `mutation.decision`: what was decided before the owner was asked, `KeptDecision` as JSON text; null where
 * it went as sent.
 */
export class KeepDecision1764000000500 implements MigrationInterface {
  readonly name = 'KeepDecision1764000000500';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mutation ADD COLUMN decision text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mutation DROP COLUMN decision');
  }
}
