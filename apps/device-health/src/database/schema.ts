import { messagingMigrations } from '@sync/messaging';
import { AddChangeTimes1764100000000 } from './add-change-times.ts';
import { CreateDeviceHealth1764000000000 } from './create-device-health.ts';

/** All of the service's database, its inbox and outbox included. */
export const MIGRATIONS = [
  ...messagingMigrations,
  CreateDeviceHealth1764000000000,
  AddChangeTimes1764100000000,
];
