// lint as: apps/sync-gateway/src/push/knows-another-app.ts
import { project } from '@sync/delta-projector'; // expect: @nx/enforce-module-boundaries
import { main } from '../../../conflict-resolver/src/main.ts'; // expect: @nx/enforce-module-boundaries
import { vectorClock } from '../../../../libs/vector-clock/src/index.ts'; // expect: @nx/enforce-module-boundaries
import { startPlatform } from '@sync/e2e-platform'; // expect: @nx/enforce-module-boundaries
import { cloneDatabase } from '@sync/postgres/testing'; // expect: no-restricted-imports
import { startOwner } from '@sync/owner-sdk'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres';
import { runService } from '@sync/service-kit';
import { Pool } from 'pg';

export const imported = [project, main, vectorClock, startPlatform, cloneDatabase, startOwner, Database, runService, Pool];

export const read: unknown = JSON.parse('{}'); // expect: no-restricted-properties
