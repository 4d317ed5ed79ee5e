import { mutationOf } from '../../tools/jest/mutation.mjs';

/** The decisions. */
export default mutationOf('libs/domain', {
  jest: {
    configFile: 'libs/domain/jest.config.mjs',
    // Without the laws: thousands of random histories for every mutant take hours, and what the tables leave
    // alive is the figure that counts.
    config: { testPathIgnorePatterns: ['-laws\\.test\\.ts$'] },
  },
  mutate: ['libs/domain/src/**/*.ts', '!**/*.test.ts', '!**/testing/**', '!**/index.ts'],
});
