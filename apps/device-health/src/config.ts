import { type ConfigOf, SERVICE_OPTIONS, readConfig } from '@sync/service-kit';

/** Everything that can be set from outside. */
const OPTIONS = {
  ...SERVICE_OPTIONS,
  assessEverySeconds: {
    env: 'ASSESS_EVERY_SECONDS',
    type: 'int',
    default: 15,
    min: 1,
    max: 3600,
    desc: 'how often every device is judged again: silence is no event',
  },
} as const;

export type HealthConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readHealthConfig(env: Readonly<Record<string, string | undefined>>): HealthConfig {
  return readConfig(OPTIONS, env);
}
