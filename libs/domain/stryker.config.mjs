/**
 * Mutation testing of the decisions: `npm run mutation`, or from the workspace root
 * `stryker run libs/domain/stryker.config.mjs`.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  testRunner: 'jest',
  jest: {
    configFile: 'libs/domain/jest.config.mjs',
    // Without the laws: thousands of random histories for every mutant take hours, and what the tables leave
    // alive is the figure that counts.
    config: { testPathIgnorePatterns: ['-laws\\.test\\.ts$'] },
  },
  // Jest loads ES modules only with this flag; Stryker starts its workers itself.
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  coverageAnalysis: 'perTest',
  mutate: ['libs/domain/src/**/*.ts', '!**/*.test.ts', '!**/testing/**', '!**/index.ts'],
  // The sandbox is a copy of the workspace: only what these tests load.
  ignorePatterns: [
    '.cache',
    'reports',
    'apps',
    'e2e',
    'infra',
    'docs',
    'libs/*',
    '!libs/domain',
    'dist',
    'coverage',
  ],
  tempDirName: 'reports/stryker-tmp/domain',
  reporters: ['clear-text', 'html', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  htmlReporter: { fileName: 'reports/mutation/domain.html' },
  jsonReporter: { fileName: 'reports/mutation/domain.json' },
  thresholds: { high: 95, low: 85, break: 80 },
};
