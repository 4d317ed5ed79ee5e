import { preset } from '../../tools/jest/preset.mjs';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../libs/postgres/src/testing/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/../../libs/postgres/src/testing/jest-global-teardown.mjs',
});
