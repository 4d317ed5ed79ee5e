import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import type { SqliteDriver } from '../../storage/sqlite/sqlite-driver.ts';

/** The four methods over Node's own SQLite. It waits for no lock: that is the store's task. */
export class NodeSqliteDriver implements SqliteDriver {
  readonly database: DatabaseSync;

  constructor(path: string) {
    this.database = new DatabaseSync(path);
  }

  async exec(sql: string): Promise<void> {
    this.database.exec(sql);
  }

  async query<T>(sql: string, params: readonly unknown[] = []): Promise<readonly T[]> {
    return this.database.prepare(sql).all(...(params as SQLInputValue[])) as T[];
  }

  async run(sql: string, params: readonly unknown[] = []): Promise<void> {
    this.database.prepare(sql).run(...(params as SQLInputValue[]));
  }

  async transaction<T>(fn: (transactionDriver: SqliteDriver) => Promise<T>): Promise<T> {
    this.database.exec('BEGIN');
    try {
      const result = await fn(this);
      this.database.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has done it already where a full disk ended the transaction.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }
}
