import { together } from '../../tools/jest/together.mjs';

// Not how planning shares the process: no decision, and with a lane that never ends it would go on for ever.
export default together(
  import.meta.url,
  (path) => path.startsWith('src/push/decide/') && !path.endsWith('plan-in-slices.test.ts'),
);
