import { preset } from '../../tools/jest/preset.mjs';

// The stack is started with its processes' consent to be killed; see libs/messaging/src/fault-injection.ts.
process.env.FAULT_INJECTION = 'true';
// What a killed gateway left behind is taken over sooner, so that a run takes five seconds and not thirteen.
process.env.PUSH_TAKEOVER_MS = '2000';

export default preset(import.meta.url, {
  globalSetup: '<rootDir>/../../tools/jest/stack-setup.mjs',
  globalTeardown: '<rootDir>/../../tools/jest/stack-teardown.mjs',
  testTimeout: 600_000,
  maxWorkers: 1,
});
