/**
 * The Stryker configuration that every project shares: `export default mutationOf('libs/domain', [ … ])`.
 * Stryker runs from the workspace root, `stryker run libs/domain/stryker.config.mjs`; with `--incremental` it
 * tries only mutants of what changed since it last ran so, and takes the others from its report.
 * @param {string} project its folder, with a jest.pure.config.mjs
 * @param {string[]} files which ones are mutated, as patterns below the project
 * @returns {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export function mutationOf(project, files) {
  const [group, name] = project.split('/');
  const others = ['apps', 'e2e', 'infra', 'docs', 'libs'].filter((other) => other !== group);
  return {
    testRunner: 'jest',
    // There is only one test file.
    jest: { configFile: `${project}/jest.pure.config.mjs`, enableFindRelatedTests: false },
    // Jest loads ES modules only with this flag; Stryker starts its workers itself.
    testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
    coverageAnalysis: 'perTest',
    concurrency: 1,
    // A busy machine must kill no mutant; of those that loop nearly all are found by how often they do.
    timeoutMS: 30_000,
    mutate: files.map((file) => `${project}/${file}`),
    // The sandbox is a copy of the workspace: of its projects only this one.
    ignorePatterns: ['.cache', 'reports', ...others, `${group}/*`, `!${project}`, 'dist', 'coverage'],
    tempDirName: `reports/stryker-tmp/${name}`,
    incrementalFile: `reports/mutation/${name}-incremental.json`,
    reporters: ['clear-text', 'html', 'json'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    htmlReporter: { fileName: `reports/mutation/${name}.html` },
    jsonReporter: { fileName: `reports/mutation/${name}.json` },
    thresholds: { high: 95, low: 90, break: 90 },
  };
}
