import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { RULES, checkProject } from './check-project.ts';
import { MAX_CELL_CHARACTERS, MAX_DOCUMENT_COLUMNS } from './document-rules.ts';
import { MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_SQL_FUNCTION_LINES } from './size-rules.ts';
import { projectFile, readProject } from './workspace.ts';

type Files = Readonly<Record<string, string>>;

/** What the rule `name` reports on these files, as `path:line`. */
function reported(name: string, files: Files): string[] {
  const rule = RULES.find((candidate) => candidate.name === name);
  if (rule === undefined) throw new Error(`no rule ${name}`);
  const project = Object.entries(files).map(([path, text]) => projectFile(path, text));
  return rule.check(project).map(({ path, line }) => `${path}:${line}`);
}

const lines = (count: number): string => 'work();\n'.repeat(count);

/** @param count of its lines, the first and the last one included */
function sqlFunction(name: string, count: number, quote = '$$'): string {
  const body = "  PERFORM '$1;';\n".repeat(count - 3);
  const head = `CREATE OR REPLACE FUNCTION ${name}(p text DEFAULT '{}') RETURNS void\n`;
  return `${head}LANGUAGE plpgsql AS ${quote}\n${body}${quote};`;
}

interface Case {
  readonly rule: string;
  readonly title: string;
  readonly files: Files;
  readonly found: readonly string[];
}

const CASES: readonly Case[] = [
  {
    rule: 'function-length',
    title: 'counts from the first to the last line of functions, methods and arrows',
    files: {
      'libs/a/src/a.ts': [
        `export function long() {\n${lines(MAX_FUNCTION_LINES - 1)}}`,
        `export function fits() {\n${lines(MAX_FUNCTION_LINES - 2)}}`,
        `export const arrow = () => {\n${lines(MAX_FUNCTION_LINES)}};`,
        `class A {\n  method() {\n${lines(MAX_FUNCTION_LINES)}}\n}`,
      ].join('\n'),
    },
    found: ['libs/a/src/a.ts:1', 'libs/a/src/a.ts:142', 'libs/a/src/a.ts:215'],
  },
  {
    rule: 'function-length',
    title: 'does not measure a list of tests, but each test',
    files: {
      'libs/a/src/a.test.ts': `describe('a', () => {\n${lines(80)}it('b', () => {\n${lines(80)}});\n});`,
    },
    found: ['libs/a/src/a.test.ts:82'],
  },
  {
    rule: 'sql-function-length',
    title: 'counts from CREATE to the end of the body, each function of a file by itself',
    files: {
      'a.sql': [
        sqlFunction('fits', MAX_SQL_FUNCTION_LINES),
        sqlFunction('long', MAX_SQL_FUNCTION_LINES + 1),
        sqlFunction('follows', 3),
        sqlFunction('long_too', MAX_SQL_FUNCTION_LINES + 1, '$body$'),
      ].join('\n\n'),
      'b.ts': sqlFunction('elsewhere', MAX_SQL_FUNCTION_LINES + 1),
    },
    found: ['a.sql:52', 'a.sql:108'],
  },
  {
    rule: 'file-length',
    title: 'counts lines of code files',
    files: {
      'a.ts': lines(MAX_FILE_LINES + 1),
      'b.ts': lines(MAX_FILE_LINES),
      'c.sql': '--\n'.repeat(MAX_FILE_LINES + 1),
      'd.json': '\n'.repeat(MAX_FILE_LINES * 2),
    },
    found: ['a.ts:1', 'c.sql:1'],
  },
  {
    rule: 'constructor-dependencies',
    title: 'counts parameters and what is hidden in an options object, not plain values',
    files: {
      'a.ts': [
        'class Seven { constructor(a: A, b: A, c: A, d: A, e: A, f: A, g: A) {} }',
        'class Six { constructor(a: A, b: A, c: A, d: A, e: A, f: A) {} }',
        'interface Parts { a: A; b: A; c: A; d: A; e: A; f: A; run: () => void; size: number; hook?: A }',
        'interface Six { a: A; b: A; c: A; d: A; e: A; f: A; hook?: A }',
        'interface Port { a(): A; b(): A; c(): A; d(): A; e(): A; f(): A; g(): A }',
        'class UsesPort { constructor(port: Port) {} }',
        'class Hides { constructor(parts: Parts) {} }',
        'class Works { constructor(parts: Six) {} }',
        "interface Plain { a: A; b: number; c: string; d: 'x' | 'y'; e: boolean; f: readonly string[]; g: 1 }",
        'class Configured { constructor(plain: Plain) {} }',
        'type Alias = { a: A; b: A; c: A; d: A; e: A; f: A; g: A };',
        'class HidesBehindAlias { constructor(parts: Alias) {} }',
      ].join('\n'),
    },
    found: ['a.ts:1', 'a.ts:7', 'a.ts:12'],
  },
  {
    rule: 'assertion-per-test',
    title: 'wants an assertion in each test, its own or that of a function of the file',
    files: {
      'a.test.ts': [
        "it('runs', () => { work(); });",
        "it('counts only', () => { expect.assertions(0); });",
        "it.each([1])('runs with %s', () => work());",
        "it('has no body');",
        "it('asserts', () => { expect(1).toBe(1); });",
        "it('holds for all', () => { fc.assert(property); });",
        "it('asserts elsewhere', () => check());",
        "it('is a function of this file', check);",
        "it.each([1])('asserts with %s', (n) => { expect(n).toBe(1); });",
        "it('awaits', async () => { await expectEventually(() => 1); });",
        'const check = () => inner();',
        'function inner() { expect(2).toBe(2); }',
      ].join('\n'),
      'not-a-test.ts': "it('x', () => {});",
    },
    found: ['a.test.ts:1', 'a.test.ts:2', 'a.test.ts:3', 'a.test.ts:4'],
  },
  {
    rule: 'tests-in-test-file',
    title: 'reports a test file without a test',
    files: { 'a.test.ts': 'export const x = 1;', 'b.test.ts': "it('b', () => { expect(1).toBe(1); });" },
    found: ['a.test.ts:1'],
  },
  {
    rule: 'no-dead-file',
    title: 'knows what runs and what that imports',
    files: {
      'apps/a/src/main.ts': "import './used.ts'; const worker = new URL('./worker.ts', import.meta.url);",
      'apps/a/src/used.ts': "export type { T } from './type.ts'; void import('./lazy.ts');",
      'apps/a/src/type.ts': '',
      'apps/a/src/lazy.ts': '',
      'apps/a/src/worker.ts': '',
      'apps/a/src/dead.ts': "import './dead-too.ts';",
      'apps/a/src/dead-too.ts': "import './dead.ts';",
      'apps/a/src/tested.ts': '',
      'apps/a/src/tested.test.ts': "import './tested.ts'; import '../../../e2e/b/src/kit.ts';",
      'e2e/b/src/kit.ts': '',
      'libs/c/package.json': '{"exports": {".": {"source": "./src/index.ts"}}}',
      'libs/c/src/index.ts': '',
      'package.json': '{"scripts": {"go": "node tools/go.ts"}}',
      'tools/go.ts': '',
      'docs/guide.md': 'apps/a/src/dead.ts',
    },
    found: ['apps/a/src/dead.ts:1', 'apps/a/src/dead-too.ts:1', 'apps/a/src/tested.ts:1'],
  },
  {
    rule: 'names-that-say',
    title: 'refuses empty names of files and folders',
    files: { 'a/utils/x.ts': '', 'a/order-helpers.ts': '', 'a/utilisation.ts': '', 'a/lease.manager.ts': '' },
    found: ['a/utils/x.ts:1', 'a/order-helpers.ts:1', 'a/lease.manager.ts:1'],
  },
  {
    rule: 'no-barrel-in-apps',
    title: 'refuses files of an app that only pass on',
    files: {
      'apps/a/src/index.ts': 'export const a = 1;',
      'apps/a/src/push.ts': "export { b } from './b.ts';\nexport { c } from './c.ts';",
      'apps/a/src/pull.ts': "export { b } from './b.ts';\nexport const c = 1;",
      'libs/a/src/index.ts': "export { b } from './b.ts';",
    },
    found: ['apps/a/src/index.ts:1', 'apps/a/src/push.ts:1'],
  },
  {
    rule: 'one-reader-of-the-environment',
    title: 'finds every way to read the environment',
    files: {
      'apps/a/src/a.ts': [
        'const a = process.env.A;',
        "const b = process['env'].B;",
        'const { env } = process;',
        "import { env as e } from 'node:process';",
        "const text = 'process.env'; const pid = process.pid;",
      ].join('\n'),
      'apps/a/src/config.ts': 'process.env',
      'apps/a/src/main.ts': 'process.env',
      'libs/a/src/testing/start.ts': 'process.env',
      'tools/x.ts': 'process.env',
    },
    found: ['apps/a/src/a.ts:1', 'apps/a/src/a.ts:2', 'apps/a/src/a.ts:3', 'apps/a/src/a.ts:4'],
  },
  {
    rule: 'log-keys-once',
    title: 'finds keys that every line has, also in a variable and spread from one',
    files: {
      'libs/a/src/a.ts': [
        "logger.info({ service }, 'a');",
        "this.#logger.warn({ err, service: 'a' }, 'a');",
        'const fields = { time };',
        'const context = { level: 1, owner: service };',
        "logger.debug(fields, 'a');",
        "options.logger.error({ ...context }, 'a');",
        "logger.info({ owner: service }, 'service');",
        "other.info({ service }, 'a');",
      ].join('\n'),
    },
    found: ['libs/a/src/a.ts:1', 'libs/a/src/a.ts:2', 'libs/a/src/a.ts:5', 'libs/a/src/a.ts:6'],
  },
  {
    rule: 'no-subject-literal',
    title: 'finds subjects in strings and templates, but no event types',
    files: {
      'libs/a/src/a.ts': [
        "const a = 'sync.push.v1.learning.note';",
        'const b = `sync.replay.v1.${producer}`;',
        "const c = 'analytics.sync.>';",
        "const d = 'identity.device-binding.v1.verify';",
        "const e = 'sync.mutation.applied.v1';",
        '// sync.push.v1.learning.note',
      ].join('\n'),
      'libs/protocol/src/subjects.ts': "const a = 'sync.push.v1.learning.note';",
      'libs/a/src/a.test.ts': "expect(subject).toBe('sync.push.v1.learning.note');",
    },
    found: ['libs/a/src/a.ts:1', 'libs/a/src/a.ts:2', 'libs/a/src/a.ts:3', 'libs/a/src/a.ts:4'],
  },
  {
    rule: 'document-line-length',
    title: 'measures text, but no code, tables and links',
    files: {
      'a.md': [
        'a'.repeat(MAX_DOCUMENT_COLUMNS),
        'a'.repeat(MAX_DOCUMENT_COLUMNS + 1),
        `  - ${'a'.repeat(MAX_DOCUMENT_COLUMNS - 3)}`,
        `[a](b.md) ${'a'.repeat(MAX_DOCUMENT_COLUMNS)}`,
        `| ${'a'.repeat(MAX_DOCUMENT_COLUMNS)} |`,
        '```ts',
        'a'.repeat(MAX_DOCUMENT_COLUMNS + 1),
        '```',
        'a'.repeat(MAX_DOCUMENT_COLUMNS + 1),
      ].join('\n'),
      'a.ts': `// ${'a'.repeat(MAX_DOCUMENT_COLUMNS)}`,
    },
    found: ['a.md:2', 'a.md:3', 'a.md:9'],
  },
  {
    rule: 'table-cell-length',
    title: 'measures the text of each cell, without its padding',
    files: {
      'a.md': [
        `| a | ${'a'.repeat(MAX_CELL_CHARACTERS)}${' '.repeat(MAX_CELL_CHARACTERS)} |`,
        `| - | ${'-'.repeat(2 * MAX_CELL_CHARACTERS)} |`,
        `| a | ${'a'.repeat(MAX_CELL_CHARACTERS + 1)} |`,
        `  | ${'a'.repeat(MAX_CELL_CHARACTERS - 4)}\\|${'a'.repeat(4)} |`,
        '```',
        `| ${'a'.repeat(MAX_CELL_CHARACTERS + 1)} |`,
        '```',
        'a'.repeat(MAX_CELL_CHARACTERS + 1),
      ].join('\n'),
    },
    found: ['a.md:3', 'a.md:4'],
  },
  {
    rule: 'nothing-for-later',
    title: 'finds marks of unfinished work in any text',
    files: { 'a.ts': '// TO' + 'DO later\n// methods', 'b.sql': '-- FIX' + 'ME' },
    found: ['a.ts:1', 'b.sql:1'],
  },
  {
    rule: 'no-check-switched-off',
    title: 'finds comments and casts that silence a check',
    files: {
      'a.ts': [
        '// eslint-' + 'disable-next-line',
        '// @ts-' + 'ignore',
        'x as ' + 'any;',
        'x as anyone;',
      ].join('\n'),
      'a.md': 'eslint-' + 'disable',
    },
    found: ['a.ts:1', 'a.ts:2', 'a.ts:3'],
  },
];

describe('a rule of the house', () => {
  it.each(CASES)('$rule: $title', ({ rule, files, found }) => {
    expect(reported(rule, files)).toEqual(found);
  });

  it.each(RULES.map(({ name }) => name))('%s has a failing example here', (name) => {
    expect(CASES.filter(({ rule, found }) => rule === name && found.length > 0)).not.toEqual([]);
  });
});

describe('checkProject', () => {
  const files = [projectFile('a/utils.ts', ''), projectFile('a/main.ts', "import './utils.ts';")];
  const excuse = { rule: 'names-that-say', path: 'a/utils.ts', reason: 'a name that others rely on' };

  it('leaves out what an exception excuses', () => {
    expect(checkProject(files, [])).toMatchObject([{ rule: 'names-that-say', path: 'a/utils.ts' }]);
    expect(checkProject(files, [excuse])).toEqual([]);
  });

  it('reports an exception that excuses nothing', () => {
    const stale = { ...excuse, path: 'a/main.ts' };
    expect(checkProject(files, [excuse, stale])).toMatchObject([
      { rule: 'unused-exception', path: 'a/main.ts' },
    ]);
  });
});

describe('this project', () => {
  it('breaks no rule of the house', async () => {
    const files = await readProject(resolve(import.meta.dirname, '../..'));
    expect(files.length).toBeGreaterThan(50);
    expect(checkProject(files)).toEqual([]);
  });
});
