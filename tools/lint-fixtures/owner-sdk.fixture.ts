// lint as: libs/owner-sdk/src/knows-the-platform.ts
import { runService } from '@sync/service-kit'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres';
import { OutboxRelay } from '@sync/messaging';

export const imported = [runService, Database, OutboxRelay];
