// lint as: libs/client-testing/src/runs-in-every-test.ts
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { WebSocket } from 'ws'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol';
import { ModelServer } from '@sync/client/testing'; // expect: no-restricted-imports
import { HandClock } from '@sync/client/for-tests';

export const imported = [randomUUID, WebSocket, Database, LIMITS, ModelServer, HandClock];
