// lint as: apps/sync-gateway/src/push/accept-push.pg.test.ts
import { cloneDatabase } from '@sync/postgres/testing';
import { startNats } from '@sync/messaging/testing';
import { project } from '@sync/delta-projector'; // expect: @nx/enforce-module-boundaries

it('uses testing entries', () => expect([cloneDatabase, startNats, project]).toHaveLength(3));
