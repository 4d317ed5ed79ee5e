import { type ConfigOf, readConfig, SEAL_OPTIONS } from '@sync/service-kit';
import { PLATFORM_OPTIONS } from '../platform-config.ts';

const OPTIONS = { ...PLATFORM_OPTIONS, ...SEAL_OPTIONS } as const;

export type IdentityConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readIdentityConfig(env: Readonly<Record<string, string | undefined>>): IdentityConfig {
  return readConfig(OPTIONS, env);
}
