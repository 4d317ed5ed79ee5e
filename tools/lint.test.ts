/**
 * Proves that lint catches what it is there for: each fixture line that should be reported is, and no other
 * line.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

const root = resolve(import.meta.dirname, '..');
const folder = join(import.meta.dirname, 'lint-fixtures');

interface Fixture {
  readonly file: string;
  readonly text: string;
  /** The path that decides which rules apply; `typed` for the fixture of the type-checked rules. */
  readonly lintAs: string;
  readonly expected: readonly string[];
}

async function readFixture(file: string): Promise<Fixture> {
  const text = await readFile(join(folder, file), 'utf8');
  const expected = text.split('\n').flatMap((line, index) => {
    const rules = /expect: (.+)$/.exec(line)?.[1]?.split(', ') ?? [];
    return rules.map((rule) => `${index + 1} ${rule}`);
  });
  const lintAs = /^\/\/ lint as: (\S+)/.exec(text)?.[1] ?? '';
  return { file, text, lintAs, expected: expected.sort() };
}

/**
 * Types need a program that knows the file; where a fixture only pretends to stand elsewhere, they are left
 * out.
 */
function eslintFor(fixture: Fixture): ESLint {
  const unignore = { ignores: ['!**/*.fixture.ts'] };
  const typed = {
    files: ['**/*.{ts,tsx}'],
    languageOptions: {
      parserOptions: {
        projectService: false,
        project: join(folder, 'tsconfig.json'),
        tsconfigRootDir: folder,
      },
    },
  };
  const untyped = { files: ['**/*.{ts,tsx}'], ...tseslint.configs.disableTypeChecked };
  return new ESLint({ cwd: root, overrideConfig: [unignore, fixture.lintAs === 'typed' ? typed : untyped] });
}

async function lint(fixture: Fixture): Promise<string[]> {
  const filePath = fixture.lintAs === 'typed' ? join(folder, fixture.file) : join(root, fixture.lintAs);
  const [result] = await eslintFor(fixture).lintText(fixture.text, { filePath });
  const found = (result?.messages ?? []).map(({ line, ruleId, message }) =>
    message.includes('noInlineConfig') ? `${line} noInlineConfig` : `${line} ${ruleId ?? message}`,
  );
  return [...new Set(found)].sort();
}

describe('lint', () => {
  it('reports exactly the marked lines of every fixture', async () => {
    const files = (await readdir(folder)).filter((file) => file.endsWith('.fixture.ts'));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) {
      const fixture = await readFixture(file);
      expect({ file, found: await lint(fixture) }).toEqual({ file, found: fixture.expected });
    }
  }, 120_000);

  it('has a fixture for every layer', async () => {
    const files = await readdir(folder);
    const linted = await Promise.all(files.filter((f) => f.endsWith('.fixture.ts')).map(readFixture));
    const projects = new Set(linted.map(({ lintAs }) => lintAs.split('/src/')[0] ?? ''));
    const libs = await readdir(join(root, 'libs'));
    expect([...projects].filter((project) => project.startsWith('libs/')).sort()).toEqual(
      libs
        .map((lib) => `libs/${lib}`)
        .filter((lib) => lib !== 'libs/service-kit')
        .sort(),
    );
  });
});
