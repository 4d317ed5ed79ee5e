/**
 * The Jest configuration for mutation testing: all pure tests of a project as one test file. Jest makes a
 * world of its own for each test file, which takes longer than such tests do, and every mutant needs them.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { preset } from './preset.mjs';

/**
 * @param {string} configUrl `import.meta.url` of the project's jest.pure.config.mjs
 * @param {(path: string) => boolean} isMeant which tests, by their path below the project; those that need
 *   servers never are
 * @returns {import('jest').Config}
 */
export function together(configUrl, isMeant) {
  const config = preset(configUrl);
  const paths = readdirSync(config.rootDir, { recursive: true }).filter(
    (path) => /^src\/.*(?<!\.pg|\.nats)\.test\.ts$/.test(path) && isMeant(path),
  );
  const entry = join(config.rootDir, 'coverage/together.ts');
  mkdirSync(join(config.rootDir, 'coverage'), { recursive: true });
  writeFileSync(entry, paths.map((path) => `import '../${path}';\n`).join(''));
  return { ...config, testMatch: [entry] };
}
