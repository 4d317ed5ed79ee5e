import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Events hold what people wrote, and `jsonb` writes its numbers out: 5e-324 is read as 324 digits. The table
 * is written anew, and locked meanwhile; events wait in their stream for it.
 */
export class KeepEventsAsSent1764100000000 implements MigrationInterface {
  readonly name = 'KeepEventsAsSent1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE sync_event ALTER COLUMN event TYPE json');
  }

  async down(): Promise<void> {
    // Forward only.
  }
}
