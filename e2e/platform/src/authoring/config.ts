import { readConfig } from '@sync/service-kit';
import { PLATFORM_OPTIONS, type PlatformConfig } from '../platform-config.ts';

/** @throws ConfigError naming every missing or malformed variable */
export function readAuthoringConfig(env: Readonly<Record<string, string | undefined>>): PlatformConfig {
  return readConfig(PLATFORM_OPTIONS, env);
}
