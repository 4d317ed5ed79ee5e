// lint as: libs/client-rxdb/src/runs-on-one-platform.ts
import { LIMITS } from '@sync/protocol'; // expect: @typescript-eslint/no-restricted-imports
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { ModelServer } from '@sync/client/testing'; // expect: no-restricted-imports
import { checkOp } from '@sync/domain'; // expect: @nx/enforce-module-boundaries
import type { Problem } from '@sync/protocol';
import { compareClocks } from '@sync/vector-clock';
import { faultOf } from '@sync/client/parts';

export const imported = [LIMITS, randomUUID, ModelServer, checkOp, compareClocks, faultOf];
export type Imported = Problem;
