import { jsonEntityTableSql } from '@sync/owner-sdk';
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateHighlight1764100000000 implements MigrationInterface {
  readonly name = 'CreateHighlight1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(jsonEntityTableSql('highlight'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE highlight');
  }
}
