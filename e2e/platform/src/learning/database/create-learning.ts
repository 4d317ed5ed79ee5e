import { jsonEntityTableSql } from '@sync/owner-sdk';
import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = ['statement', 'progress', 'note', 'enrollment', 'certificate', 'bundle'];

/** One table per entity type, each with forced row level security. */
export class CreateLearning1764000000000 implements MigrationInterface {
  readonly name = 'CreateLearning1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(jsonEntityTableSql(table));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ${TABLES.join(', ')}`);
  }
}
