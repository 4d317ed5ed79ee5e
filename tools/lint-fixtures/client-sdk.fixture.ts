// lint as: libs/client-sdk/src/runs-on-one-platform.ts
import { LIMITS } from '@sync/protocol'; // expect: @typescript-eslint/no-restricted-imports
import { createHmac } from 'node:crypto'; // expect: no-restricted-imports
import { WebSocket } from 'ws'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import type { Problem } from '@sync/protocol';
import { LIMITS as LIMITS_OF_DEVICES } from '@sync/protocol/device';
import { backoffMs } from '@sync/domain';

export const imported = [LIMITS, createHmac, WebSocket, Database, LIMITS_OF_DEVICES, backoffMs];
export type Imported = Problem;
