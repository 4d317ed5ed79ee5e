import { type ConfigOf, FAULT_INJECTION_OPTION, SERVICE_OPTIONS } from '@sync/service-kit';

/** What every service of the platform can be told from outside. */
export const PLATFORM_OPTIONS = {
  ...SERVICE_OPTIONS,
  databasePoolSize: { ...SERVICE_OPTIONS.databasePoolSize, default: 16 },
  faultInjection: FAULT_INJECTION_OPTION,
} as const;

export type PlatformConfig = ConfigOf<typeof PLATFORM_OPTIONS>;
