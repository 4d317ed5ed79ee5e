import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `device_sequence.received` has each `sequence` that a device has used. One that comes a second time, under
 * another mutationId, says that the device was restored from a backup. `highest` alone could not tell that
 * from two requests whose order was lost.
 *
 * null in rows that only a gateway of a version from before has written: all up to `highest` counts as used.
 */
export class ReceivedSequences1764000001000 implements MigrationInterface {
  readonly name = 'ReceivedSequences1764000001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE device_sequence ADD COLUMN received int8multirange');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE device_sequence DROP COLUMN received');
  }
}
