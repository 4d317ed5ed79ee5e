import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../tools/jest/stack-setup.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 600_000,
  maxWorkers: 1,
});
