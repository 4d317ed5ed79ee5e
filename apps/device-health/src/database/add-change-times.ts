import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * When a scope changed within a minute: by the minute alone, a device seemed to be behind since before
 * anything had changed. The time of the first change, with how far the scope had come by it, and of the last
 * one; null in rows from before.
 */
export class AddChangeTimes1764100000000 implements MigrationInterface {
  readonly name = 'AddChangeTimes1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `ALTER TABLE scope_minute ADD COLUMN first_sequence bigint, ADD COLUMN first_at timestamptz,
         ADD COLUMN last_at timestamptz`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE scope_minute DROP COLUMN first_sequence, DROP COLUMN first_at, DROP COLUMN last_at',
    );
  }
}
