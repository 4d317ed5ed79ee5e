import { documentMigrations } from '@sync/owner-sdk/documents';
import { type RunningService, createLogger } from '@sync/service-kit';
import { startOwningService } from '../owning-service/start-owning-service.ts';
import type { PlatformConfig } from '../platform-config.ts';
import { CreateAuthoring1764000000000 } from './database/create-authoring.ts';
import { MoveDocuments1764000000100 } from './database/move-documents.ts';
import { documentEntity } from './document/document.ts';

/** Stands where a company's authoring service would: course texts that several people write at once. */
export function startAuthoring(config: PlatformConfig): Promise<RunningService> {
  const { entity, kept } = documentEntity(createLogger({ service: 'authoring', level: config.logLevel }));
  return startOwningService('authoring', config, {
    migrations: [...documentMigrations, CreateAuthoring1764000000000, MoveDocuments1764000000100],
    entities: [entity],
    close: () => kept.close(),
  });
}
