import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index of outcomes that wait for a pull, without the tenant and the mutation: entries of one push are
 * the same then, which Postgres keeps once, and a page of it is split a fifth as often. In front stands the
 * device, whose id no two tenants share but by chance.
 *
 * Pushes wait while it is made, a second or two for each million rows of the ledger. It cannot be made
 * beside them (CONCURRENTLY), because that waits for the other replicas, which wait for this migration.
 */
export class SlimWaitingIndex1764000001010 implements MigrationInterface {
  readonly name = 'SlimWaitingIndex1764000001010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX mutation_waiting ON mutation (device_id, user_id, terminal_at)
        WHERE terminal_at IS NOT NULL AND acked_at IS NULL;
      DROP INDEX mutation_outcome_waiting;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX mutation_waiting;
      CREATE INDEX mutation_outcome_waiting ON mutation (tenant_id, user_id, device_id, terminal_at, mutation_id)
        WHERE terminal_at IS NOT NULL AND acked_at IS NULL;`);
  }
}
