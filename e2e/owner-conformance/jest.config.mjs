import { preset } from '../../tools/jest/preset.mjs';

// Not the checks: they are run by these tests, as the command runs them (checks.jest.config.mjs).
export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../libs/messaging/src/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/../../libs/messaging/src/testing/jest-global-teardown.mjs',
  testMatch: ['<rootDir>/src/*/*.test.ts'],
  testTimeout: 300_000,
});
