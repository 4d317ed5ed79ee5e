import { mutationOf } from '../../tools/jest/mutation.mjs';

/** The clock semantics. */
export default mutationOf('libs/vector-clock', {
  jest: { configFile: 'libs/vector-clock/jest.config.mjs' },
  mutate: ['libs/vector-clock/src/**/*.ts', '!**/*.test.ts', '!**/index.ts'],
});
