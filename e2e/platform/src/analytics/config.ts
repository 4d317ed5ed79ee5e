import { type ConfigOf, readConfig } from '@sync/service-kit';
import { PLATFORM_OPTIONS } from '../platform-config.ts';

const OPTIONS = {
  ...PLATFORM_OPTIONS,
  retentionHours: {
    env: 'EVENT_RETENTION_HOURS',
    type: 'int',
    default: 168,
    min: 1,
    max: 8_760,
    desc: 'how long events are kept',
  },
} as const;

export type AnalyticsConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readAnalyticsConfig(env: Readonly<Record<string, string | undefined>>): AnalyticsConfig {
  return readConfig(OPTIONS, env);
}
