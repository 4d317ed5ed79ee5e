import { preset } from '../../tools/jest/preset.mjs';

// One stack for all files; they use tenants of their own and may run side by side.
export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../tools/jest/stack-setup.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 60_000,
});
