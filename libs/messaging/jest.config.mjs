import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/src/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/src/testing/jest-global-teardown.mjs',
});
