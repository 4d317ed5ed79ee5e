// lint as: libs/client-testing/src/runs-in-every-test.ts
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { WebSocket } from 'ws'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol';
import { HandClock } from '@sync/client/testing';

export const imported = [randomUUID, WebSocket, Database, LIMITS, HandClock];
