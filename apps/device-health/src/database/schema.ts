import { readFileSync } from 'node:fs';
import { messagingMigrations } from '@sync/messaging';
import type { FunctionScript } from '@sync/postgres';
import { AddChangeTimes1764100000000 } from './add-change-times.ts';
import { CreateDeviceHealth1764000000000 } from './create-device-health.ts';

/** All of the service's database, its inbox and outbox included. */
export const MIGRATIONS = [
  ...messagingMigrations,
  CreateDeviceHealth1764000000000,
  AddChangeTimes1764100000000,
];

/** SQL functions; each lives beside the store that calls it. */
export const FUNCTIONS: readonly FunctionScript[] = ['events/save-observations.sql'].map((name) => ({
  name,
  sql: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'),
}));
