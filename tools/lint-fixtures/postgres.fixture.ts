// lint as: libs/postgres/src/knows-its-users.ts
import { OutboxRelay } from '@sync/messaging'; // expect: @nx/enforce-module-boundaries
import { runService } from '@sync/service-kit'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol';

export const imported = [OutboxRelay, runService, LIMITS];
