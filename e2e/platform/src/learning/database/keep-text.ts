import { jsonEntityTextSql } from '@sync/owner-sdk';
import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = ['statement', 'progress', 'note', 'enrollment', 'certificate', 'bundle', 'highlight'];

/** Entities as the text that came, in tables from before the SDK kept them so. */
export class KeepText1764200000000 implements MigrationInterface {
  readonly name = 'KeepText1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(jsonEntityTextSql(table));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}
