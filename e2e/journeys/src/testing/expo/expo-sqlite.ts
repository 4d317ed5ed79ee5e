/** As much of `expo-sqlite` as the quickstart uses, on the SQLite of Node. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';

class Database {
  readonly #database: DatabaseSync;

  constructor(name: string) {
    this.#database = new DatabaseSync(name);
  }

  async execAsync(sql: string): Promise<void> {
    this.#database.exec(sql);
  }

  async getAllAsync(sql: string, params: SQLInputValue[]): Promise<object[]> {
    return this.#database.prepare(sql).all(...params);
  }

  async runAsync(sql: string, params: SQLInputValue[]): Promise<object> {
    return this.#database.prepare(sql).run(...params);
  }

  async isInTransactionAsync(): Promise<boolean> {
    return this.#database.isTransaction;
  }
}

export async function openDatabaseAsync(name: string): Promise<Database> {
  return new Database(name);
}
