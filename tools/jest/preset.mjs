/**
 * The Jest configuration that every project shares: `export default preset(import.meta.url, { … })`.
 *
 * The `source` export condition makes `@sync/*` resolve to TypeScript sources, so tests need no build step.
 * @param {string} configUrl `import.meta.url` of the project's jest.config.mjs
 * @param {import('jest').Config} [overrides]
 * @returns {import('jest').Config}
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { swcOptions } from '../build/swc-options.mjs';

export function preset(configUrl, overrides = {}) {
  const rootDir = dirname(fileURLToPath(configUrl));
  // The `test` target writes its report here, and Jest does not create the folder of its `--outputFile`.
  mkdirSync(join(import.meta.dirname, '../../reports/tests'), { recursive: true });
  return {
    rootDir,
    displayName: rootDir.split('/').at(-1),
    testEnvironment: 'node',
    testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
    testMatch: ['<rootDir>/**/*.test.ts'],
    modulePathIgnorePatterns: ['<rootDir>/dist/'],
    extensionsToTreatAsEsm: ['.ts', '.tsx'],
    transform: { '^.+\\.ts$': transform({ tsx: false }), '^.+\\.tsx$': transform({ tsx: true }) },
    coveragePathIgnorePatterns: ['/node_modules/', '/dist/', '/testing/'],
    testTimeout: 120_000,
    ...overrides,
  };
}

function transform(file) {
  const options = swcOptions(file);
  const { rewriteRelativeImportExtensions: _built, ...jsc } = options.jsc;
  return ['@swc/jest', { ...options, jsc, sourceMaps: 'inline' }];
}
