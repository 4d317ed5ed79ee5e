export { arrayText, jsonArray } from './array-text.ts';
export { Database } from './database.ts';
export type { AnswerLimits, DatabaseLogger, DatabaseOptions } from './database.ts';
export { functionSchemaOf } from './function-schema.ts';
export type { FunctionScript } from './function-schema.ts';
export { migrate } from './migrate.ts';
export type { MigrateOptions, MigrationClass, MigrationReport, TableRights } from './migrate.ts';
export { provision } from './provision.ts';
export type { ProvisionedDatabase, ProvisionOptions } from './provision.ts';
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
