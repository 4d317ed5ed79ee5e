import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the index of positions partial, with a condition that every row meets: only a statement that says
 * `sequence > 0` can use it.
 *
 * It begins like the primary key (tenant, scope), and for the look-up of one entity the planner took it,
 * whatever was tried with order and range: it expects one row of a scope, and read all of them, 36 ms for ten
 * entities in a scope of 2,600.
 */
export class OrderIndex1764000000600 implements MigrationInterface {
  readonly name = 'OrderIndex1764000000600';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX scope_delta_in_order;
      CREATE UNIQUE INDEX scope_delta_in_order ON scope_delta (tenant_id, scope, sequence) WHERE sequence > 0;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX scope_delta_in_order;
      CREATE UNIQUE INDEX scope_delta_in_order ON scope_delta (tenant_id, scope, sequence);`);
  }
}
