/**
 * The four methods of TanStack's SQLite persistence drivers (`SQLiteDriver` of
 * `@tanstack/db-sqlite-persistence-core` 0.2): any of those is taken as it is, for OPFS, Expo, op-sqlite,
 * Capacitor, Electron, Tauri or Node.
 */
export interface SqliteDriver {
  /** Runs statements without values. */
  exec(sql: string): Promise<void>;
  /** @returns the rows of a statement */
  query<T>(sql: string, params?: readonly unknown[]): Promise<readonly T[]>;
  /** Runs a statement that has no rows. */
  run(sql: string, params?: readonly unknown[]): Promise<void>;
  /**
   * Calls `fn` within a transaction: commits when it has answered, rolls back when it throws. It has to
   *
   * - answer with what `fn` has answered, and throw what it has thrown;
   * - flush to the disk on commit: with another connection than that of the other methods, this one needs
   *   `PRAGMA synchronous = FULL` (2) as well;
   * - let nothing else run on the same connection meanwhile, as far as the app uses it for something else.
   *
   * Expo's `withExclusiveTransactionAsync` answers nothing, and opens a connection of its own. A driver over
   * it keeps what `fn` has answered in a variable, and sets the pragma; or it sends `BEGIN`, `COMMIT` and
   * `ROLLBACK` itself. `openSqliteStore` tries the first two, and refuses a driver that does not.
   */
  transaction<T>(fn: (transactionDriver: SqliteDriver) => Promise<T>): Promise<T>;
}
