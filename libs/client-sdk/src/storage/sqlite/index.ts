/** `@sync/client/sqlite`: the store in any SQLite, over TanStack's drivers. */
export { openSqliteStore } from './sqlite-store.ts';
export type { SqliteStoreOptions } from './sqlite-store.ts';
export type { SqliteDriver } from './sqlite-driver.ts';
