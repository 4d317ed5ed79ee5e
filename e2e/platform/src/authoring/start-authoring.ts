import type { RunningService } from '@sync/service-kit';
import { startOwningService } from '../owning-service/start-owning-service.ts';
import type { PlatformConfig } from '../platform-config.ts';
import { CreateAuthoring1764000000000 } from './database/create-authoring.ts';
import { document } from './document/document.ts';

/** Stands where a company's authoring service would: course texts that several people write at once. */
export function startAuthoring(config: PlatformConfig): Promise<RunningService> {
  return startOwningService('authoring', config, {
    migrations: [CreateAuthoring1764000000000],
    entities: [document],
  });
}
