/**
 * Mutation testing of the clock semantics: `npm run mutation`, or from the workspace root
 * `stryker run libs/vector-clock/stryker.config.mjs`.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  testRunner: 'jest',
  jest: { configFile: 'libs/vector-clock/jest.config.mjs' },
  // Jest loads ES modules only with this flag; Stryker starts its workers itself.
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  coverageAnalysis: 'perTest',
  mutate: ['libs/vector-clock/src/**/*.ts', '!**/*.test.ts', '!**/index.ts'],
  // The sandbox is a copy of the workspace: only what these tests load.
  ignorePatterns: [
    '.cache',
    'reports',
    'apps',
    'e2e',
    'infra',
    'docs',
    'libs/*',
    '!libs/vector-clock',
    'dist',
    'coverage',
  ],
  tempDirName: 'reports/stryker-tmp/vector-clock',
  reporters: ['clear-text', 'html', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  htmlReporter: { fileName: 'reports/mutation/vector-clock.html' },
  jsonReporter: { fileName: 'reports/mutation/vector-clock.json' },
  thresholds: { high: 95, low: 85, break: 80 },
};
