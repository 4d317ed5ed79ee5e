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
  /** Commits when `fn` answers, rolls back when it throws. */
  transaction<T>(fn: (transactionDriver: SqliteDriver) => Promise<T>): Promise<T>;
}
