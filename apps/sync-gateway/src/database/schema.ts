import { readFileSync } from 'node:fs';
import { MessagingTables1700000000000 } from '@sync/messaging';
import type { MigrationClass, RepeatableScript } from '@sync/postgres';
import { CreateDeviceScopes1764000000100 } from './create-device-scopes.ts';
import { CreateLedger1764000000200 } from './create-ledger.ts';
import { CreateReadModel1764000000000 } from './create-read-model.ts';

/** In the order of their timestamps. */
export const MIGRATIONS: readonly MigrationClass[] = [
  MessagingTables1700000000000,
  CreateReadModel1764000000000,
  CreateDeviceScopes1764000000100,
  CreateLedger1764000000200,
];

/** SQL functions, installed again whenever their text changes; each lives beside the store that calls it. */
export const REPEATABLES: readonly RepeatableScript[] = ['grants/held-scopes.sql'].map((name) => ({
  name,
  sql: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'),
}));
