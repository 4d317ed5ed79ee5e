import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  // The largest suite, which runs alone at the end: 270 s with two workers, 600 s with one.
  maxWorkers: 2,
  globalSetup: '<rootDir>/../../libs/messaging/src/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/../../libs/messaging/src/testing/jest-global-teardown.mjs',
});
