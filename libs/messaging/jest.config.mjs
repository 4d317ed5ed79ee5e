import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/src/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/src/testing/jest-global-teardown.mjs',
  // These tests wait for leases to expire and servers to come back, on machines that do other work beside
  // them.
  testTimeout: 120_000,
});
