import { preset } from '../../tools/jest/preset.mjs';

// Providers are verified in the platform as it runs: one stack for all of them.
export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../tools/jest/stack-setup.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 60_000,
});
