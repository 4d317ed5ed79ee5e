// lint as: libs/client-tanstack-db/src/runs-on-one-platform.ts
import { LIMITS } from '@sync/protocol'; // expect: @typescript-eslint/no-restricted-imports
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { ModelServer } from '@sync/client/testing'; // expect: no-restricted-imports
import { compareClocks } from '@sync/vector-clock'; // expect: @nx/enforce-module-boundaries
import type { Problem } from '@sync/protocol';
import { MemoryStore } from '@sync/client/memory';

export const imported = [LIMITS, randomUUID, ModelServer, compareClocks, MemoryStore];
export type Imported = Problem;
