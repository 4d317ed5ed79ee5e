export { arrayText, jsonArray } from './array-text.ts';
export { Database } from './database.ts';
export type { AnswerLimits, DatabaseLogger, DatabaseOptions } from './database.ts';
export { functionSchemaOf } from './function-schema.ts';
export type { FunctionScript } from './function-schema.ts';
export { chainTableSql } from './hash-chain/chain-table.ts';
export { CHAIN_START, hashText, linkOf, positionAfter } from './hash-chain/links.ts';
export type { ChainAnchor, ChainPoint, Link, StoredLink } from './hash-chain/links.ts';
export { nextLinks } from './hash-chain/next-links.ts';
export { endFault, entryIn, linkFault } from './hash-chain/verify-links.ts';
export type { ChainFault } from './hash-chain/verify-links.ts';
export { migrate } from './migrate.ts';
export type { MigrateOptions, MigrationClass, MigrationReport, TableRights } from './migrate.ts';
export { provision } from './provision.ts';
export type { ProvisionedDatabase, ProvisionOptions } from './provision.ts';
export { readInOrder } from './read-in-order.ts';
export {
  isPassing,
  isTooSlow,
  isUnavailable,
  NoAnswerError,
  NoFunctionsError,
  retryConflicts,
  sqlStateOf,
} from './sql-errors.ts';
export type { RetryOptions } from './sql-errors.ts';
export { InvalidTenantError, tenantPolicySql } from './tenants.ts';
export type { StatementLimits } from './tenants.ts';
export { inOrder, TransactionAbortedError } from './transaction.ts';
export type { Tx } from './transaction.ts';
