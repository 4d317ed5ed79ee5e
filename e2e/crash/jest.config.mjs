import { preset } from '../../tools/jest/preset.mjs';

// The stack is started with its processes' consent to be killed; see libs/messaging/src/fault-injection.ts.
process.env.FAULT_INJECTION = 'true';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../tools/jest/stack-setup.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 600_000,
  maxWorkers: 1,
});
