// lint as: tools/stack/knows-an-app.ts
import { main } from '@sync/device-health'; // expect: @nx/enforce-module-boundaries
import { provision } from '@sync/postgres';

export const imported = [main, provision];
