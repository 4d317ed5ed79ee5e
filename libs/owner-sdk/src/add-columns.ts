import type { MigrationClass } from '@sync/postgres';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A migration that adds columns to tables which are there.
 * @param name ends in its timestamp, as TypeORM asks
 * @param tables by table and column, what the column is: `{ note: { colour: 'text' } }`
 */
export function addColumns(
  name: string,
  tables: Readonly<Record<string, Readonly<Record<string, string>>>>,
): MigrationClass {
  const alter = async (
    runner: QueryRunner,
    change: (column: string, type: string) => string,
  ): Promise<void> => {
    for (const [table, columns] of Object.entries(tables)) {
      const changes = Object.entries(columns).map(([column, type]) => change(column, type));
      await runner.query(`ALTER TABLE ${table} ${changes.join(', ')}`);
    }
  };
  return class implements MigrationInterface {
    readonly name = name;

    up(runner: QueryRunner): Promise<void> {
      return alter(runner, (column, type) => `ADD COLUMN ${column} ${type}`);
    }

    down(runner: QueryRunner): Promise<void> {
      return alter(runner, (column) => `DROP COLUMN ${column}`);
    }
  };
}
