export { exitOf } from './exit-of.ts';
export { withFileLock } from './file-lock.ts';
export { freePort, isFree } from './free-port.ts';
export { startPostgres } from './start-postgres.ts';
export type { RunningPostgres, StartPostgresOptions } from './start-postgres.ts';
export { createTestDatabase } from './test-database.ts';
export type { TestDatabase, TestDatabaseOptions } from './test-database.ts';
export { removeAtOurDeath, watchOver } from './watch-over.ts';
export type { Watchdog } from './watch-over.ts';
