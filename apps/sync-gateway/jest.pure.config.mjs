import { preset } from '../../tools/jest/preset.mjs';

/** What mutation testing runs: decisions of the write path, without servers and without waiting. */
export default preset(import.meta.url, {
  testMatch: ['<rootDir>/src/push/decide/**/*.test.ts'],
  // How planning shares the process is no decision: with a lane that never ends it would go on for ever.
  testPathIgnorePatterns: ['\\.(pg|nats)\\.test\\.ts$', 'plan-in-slices'],
});
