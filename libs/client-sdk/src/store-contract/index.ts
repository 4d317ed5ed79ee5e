/** `@sync/client/store-contract`: what every adapter of `Store` keeps, as checks for any test runner. */
export { STORE_CONTRACT } from './store-contract.ts';
export type { StoreCheck, StorePlace } from './store-contract.ts';
export { assertNothingLost, writeUntilKilled } from './killed-writer.ts';
export { SQLITE_DRIVER_CONTRACT } from './sqlite-driver.ts';
export type { SqliteDriverCheck } from './sqlite-driver.ts';
