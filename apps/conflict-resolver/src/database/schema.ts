import { readFileSync } from 'node:fs';
import { ownerMigrations } from '@sync/owner-sdk';
import type { MigrationClass, FunctionScript, TableRights } from '@sync/postgres';
import { AnchorConflictHistory1764150000000 } from './anchor-conflict-history.ts';
import { CreateConflictCustody1764050000000 } from './create-conflict-custody.ts';
import { CreateConflictRecords1764000000000 } from './create-conflict-records.ts';
import { CreateSuggestions1764100000000 } from './create-suggestions.ts';
import { KeepJsonAsSent1764200000000 } from './keep-json-as-sent.ts';

/** In the order of their timestamps. */
export const MIGRATIONS: readonly MigrationClass[] = [
  ...ownerMigrations,
  CreateConflictRecords1764000000000,
  CreateConflictCustody1764050000000,
  CreateSuggestions1764100000000,
  AnchorConflictHistory1764150000000,
  KeepJsonAsSent1764200000000,
];

/** SQL functions, installed again whenever their text changes; each lives beside the store that calls it. */
export const FUNCTIONS: readonly FunctionScript[] = [
  'history/conflict-histories.sql',
  'history/conflict-custody.sql',
].map((name) => ({ name, sql: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8') }));

/**
 * Records and history are evidence. The triggers refuse what is wrong, these rights what is not needed:
 * either alone would do, and a mistake in one of them changes nothing.
 */
export const APP_RIGHTS: readonly TableRights[] = [
  {
    table: 'conflict_record',
    rights: 'SELECT, INSERT, UPDATE (status, decision, decider, resolved_at, resolution)',
  },
  { table: 'conflict_history', rights: 'SELECT, INSERT' },
  { table: 'conflict_history_anchor', rights: 'SELECT' },
  { table: 'conflict_history_head', rights: 'SELECT' },
  { table: 'conflict_suggestion', rights: 'SELECT, INSERT, UPDATE' },
];
