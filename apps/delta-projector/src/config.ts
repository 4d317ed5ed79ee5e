import { type ConfigOf, FAULT_INJECTION_OPTION, SERVICE_OPTIONS, readConfig } from '@sync/service-kit';

/** Everything that can be set from outside; the names in `env` are the only contract with deployments. */
const OPTIONS = {
  ...SERVICE_OPTIONS,
  databasePoolSize: {
    ...SERVICE_OPTIONS.databasePoolSize,
    default: 12,
    min: 4,
    max: 200,
    desc:
      'Postgres connections of one worker; each partition it holds needs one, relay and backfill a few ' +
      'more',
  },
  origin: {
    env: 'ORIGIN',
    type: 'string',
    default: 'main',
    desc: 'name of this region in cursors; never change it while devices hold cursors',
  },
  reconcileIntervalS: {
    env: 'RECONCILE_INTERVAL_S',
    type: 'int',
    default: 900,
    min: 5,
    desc: 'seconds between two comparisons with the snapshot of a service that publishes plain CloudEvents',
  },
  deadLetterDays: {
    env: 'DEAD_LETTER_DAYS',
    type: 'int',
    default: 30,
    min: 1,
    max: 3650,
    desc: 'days a dead letter is kept after it was replayed',
  },
  tombstoneDays: {
    env: 'TOMBSTONE_DAYS',
    type: 'int',
    default: 30,
    min: 1,
    max: 3650,
    desc:
      'days the data of a deleted entity is kept, for an edit that brings it back; the same as for the ' +
      'gateway',
  },
  faultInjection: FAULT_INJECTION_OPTION,
} as const;

export type ProjectorConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readProjectorConfig(env: Readonly<Record<string, string | undefined>>): ProjectorConfig {
  return readConfig(OPTIONS, env);
}
