import { preset } from '../../tools/jest/preset.mjs';

// One stack for all files, and processes of it are killed: the files run one after the other.
export default preset(import.meta.url, {
  globalSetup: '<rootDir>/stack-with-ai.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 120_000,
  maxWorkers: 1,
});
