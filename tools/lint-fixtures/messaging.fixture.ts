// lint as: libs/messaging/src/knows-its-users.ts
import { runService } from '@sync/service-kit'; // expect: @nx/enforce-module-boundaries
import { cloneDatabase } from '@sync/postgres/testing'; // expect: no-restricted-imports
import { Database } from '@sync/postgres';

export const imported = [runService, cloneDatabase, Database];
