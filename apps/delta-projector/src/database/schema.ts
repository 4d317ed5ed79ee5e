import { readFileSync } from 'node:fs';
import { messagingMigrations } from '@sync/messaging';
import type { MigrationClass, FunctionScript } from '@sync/postgres';
import { CreateProjection1764000000000 } from './create-projection.ts';
import { KeepLeftScopes1764000000200 } from './keep-left-scopes.ts';
import { NoteDeletions1764000000100 } from './note-deletions.ts';

/** In the order of their timestamps. */
export const MIGRATIONS: readonly MigrationClass[] = [
  ...messagingMigrations,
  CreateProjection1764000000000,
  NoteDeletions1764000000100,
  KeepLeftScopes1764000000200,
];

const SCRIPTS = [
  'projection/load-heads.sql',
  'projection/create-heads.sql',
  'projection/update-heads.sql',
  'projection/move-scopes.sql',
  'dead-letters/record-dead-letters.sql',
] as const;

/** SQL functions, installed again whenever their text changes; each lives beside the store that calls it. */
export const FUNCTIONS: readonly FunctionScript[] = SCRIPTS.map((name) => ({
  name,
  sql: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'),
}));
