// lint as: apps/conflict-resolver/src/records/announce.ts
import { startOwner } from '@sync/owner-sdk';
import { main } from '@sync/sync-gateway'; // expect: @nx/enforce-module-boundaries

export const imported = [startOwner, main];
