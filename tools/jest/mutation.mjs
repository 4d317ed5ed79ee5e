/**
 * The Stryker configuration that every project shares: `export default mutationOf('libs/domain', { … })`. Stryker
 * runs from the workspace root, `stryker run libs/domain/stryker.config.mjs`; with `--incremental` it tries only
 * mutants of what changed since it last ran so, in code or tests, and takes the others from its report.
 * @param {string} project its folder
 * @param {import('@stryker-mutator/api/core').PartialStrykerOptions} options
 * @returns {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export function mutationOf(project, options) {
  const name = project.split('/').at(-1);
  const [folder] = project.split('/');
  const others = ['apps', 'e2e', 'infra', 'docs', 'libs'].filter((other) => other !== folder);
  return {
    testRunner: 'jest',
    // Jest loads ES modules only with this flag; Stryker starts its workers itself.
    testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
    coverageAnalysis: 'perTest',
    concurrency: 1,
    // A mutant that hangs is found by its hits of loops as a rule; a machine that is busy must kill none.
    timeoutMS: 30_000,
    // The sandbox is a copy of the workspace: only what these tests load from their own project.
    ignorePatterns: ['.cache', 'reports', ...others, `${folder}/*`, `!${project}`, 'dist', 'coverage'],
    tempDirName: `reports/stryker-tmp/${name}`,
    incrementalFile: `reports/mutation/${name}-incremental.json`,
    reporters: ['clear-text', 'html', 'json'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    htmlReporter: { fileName: `reports/mutation/${name}.html` },
    jsonReporter: { fileName: `reports/mutation/${name}.json` },
    thresholds: { high: 95, low: 90, break: 90 },
    ...options,
  };
}
