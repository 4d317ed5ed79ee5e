import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `mutation.failures`: how often the owner answered without an answer for the mutation, since
 * `failing_since`. `attempts` counts outages as well, and an outage must never be held against a mutation.
 */
export class CountFailures1764000000750 implements MigrationInterface {
  readonly name = 'CountFailures1764000000750';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE mutation ADD COLUMN failures integer NOT NULL DEFAULT 0, ADD COLUMN failing_since ' +
        'timestamptz',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mutation DROP COLUMN failures, DROP COLUMN failing_since');
  }
}
