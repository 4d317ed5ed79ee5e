import { preset } from '../../tools/jest/preset.mjs';

// One stack for all files; they use tenants of their own and may run side by side.
export default preset(import.meta.url, {
  globalSetup: '<rootDir>/stack-setup.mjs',
  globalTeardown: '<rootDir>/stack-teardown.mjs',
  testTimeout: 60_000,
});
