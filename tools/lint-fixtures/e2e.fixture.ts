// lint as: e2e/journeys/src/knows-an-app.ts
import { main } from '@sync/sync-gateway'; // expect: @nx/enforce-module-boundaries
import { device } from '@sync/e2e-device';
import { registerOwner } from '@sync/owner-sdk';

export const imported = [main, device, registerOwner];
