import type { RunningService } from '@sync/service-kit';
import { startOwningService } from '../owning-service/start-owning-service.ts';
import type { PlatformConfig } from '../platform-config.ts';
import { bundle } from './bundle/bundle.ts';
import { certificate } from './certificate/certificate.ts';
import { CreateHighlight1764100000000 } from './database/create-highlight.ts';
import { KeepText1764200000000 } from './database/keep-text.ts';
import { CreateLearning1764000000000 } from './database/create-learning.ts';
import { enrollment } from './enrollment/enrollment.ts';
import { highlight } from './highlight/highlight.ts';
import { note } from './note/note.ts';
import { progress } from './progress/progress.ts';
import { statement } from './statement/statement.ts';

/** Stands where a company's learning services would: what learners do, reach and hold. */
export function startLearning(config: PlatformConfig): Promise<RunningService> {
  return startOwningService('learning', config, {
    migrations: [CreateLearning1764000000000, CreateHighlight1764100000000, KeepText1764200000000],
    entities: [statement, progress, note, highlight, enrollment, certificate, bundle],
  });
}
