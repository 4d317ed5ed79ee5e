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
  const { rewriteRelativeImportExtensions: _built, ...jsc } = swcOptions.jsc;
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
    extensionsToTreatAsEsm: ['.ts'],
    transform: { '^.+\\.ts$': ['@swc/jest', { ...swcOptions, jsc, sourceMaps: 'inline' }] },
    coveragePathIgnorePatterns: ['/node_modules/', '/dist/', '/testing/'],
    testTimeout: 30_000,
    ...overrides,
  };
}
