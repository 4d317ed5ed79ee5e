// lint as: libs/browser/src/knows-what-it-tests.ts
import { MemoryStore } from '@sync/client/memory'; // expect: @nx/enforce-module-boundaries
import { Relay } from '@sync/messaging'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres';

export const imported = [MemoryStore, Relay, Database];
