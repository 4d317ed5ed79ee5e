import { posix } from 'node:path';
import ts from 'typescript';
import { isTestCode, walk } from './workspace.ts';
import type { ProjectFile, Rule } from './workspace.ts';

/**
 * A source file lives when something runs it or something alive imports it. Entries are what package.json
 * `exports` name, `main.ts`, Jest and lint configurations, test files, and what a script, a configuration, a
 * workflow or another program names by its path. What only tests import is dead code with a test, unless it
 * stands in a testing entry, `e2e/` or `tools/`.
 */
export const noDeadFile: Rule = {
  name: 'no-dead-file',
  check: (files) => {
    const sources = files.filter(({ path }) => /\.(tsx?|mjs)$/.test(path));
    const byPath = new Map(sources.map((file) => [file.path, file]));
    const named = namedPaths(files);
    const entries = sources.filter((file) => isEntry(file.path, named));
    const fromProduction = reach(
      entries.filter(({ path }) => !path.endsWith('.test.ts')),
      byPath,
    );
    const fromTests = reach(entries, byPath);
    return sources.flatMap(({ path }) => {
      if (fromProduction.has(path)) return [];
      if (fromTests.has(path) && (isTestCode(path) || /^(e2e|tools)\//.test(path))) return [];
      const message = fromTests.has(path)
        ? 'only tests import this file'
        : 'nothing imports or runs this file';
      return [{ rule: 'no-dead-file', path, line: 1, message }];
    });
  },
};

const ALWAYS_RUN =
  /(^|\/)(main\.ts|jest\.(pure\.)?config\.mjs|stryker\.config\.mjs)$|^eslint\.config\.mjs$|\.test\.ts$|\.d\.ts$/;

function isEntry(path: string, named: ReadonlySet<string>): boolean {
  return ALWAYS_RUN.test(path) || named.has(path);
}

/**
 * Every path of a source file that appears in a text that can start it: JSON, YAML, shell, HTML, or as a
 * string in a program.
 */
function namedPaths(files: readonly ProjectFile[]): Set<string> {
  const named = new Set<string>();
  for (const file of files) {
    for (const reference of pathTexts(file)) {
      named.add(posix.normalize(reference));
      named.add(posix.join(posix.dirname(file.path), reference));
    }
  }
  return named;
}

const PATH_IN_TEXT = /[\w@./-]+\.(?:tsx?|mjs)\b/g;

function pathTexts(file: ProjectFile): string[] {
  if (file.path.endsWith('.md')) return [];
  if (file.ast === null && !/\.(mjs|js)$/.test(file.path)) return file.text.match(PATH_IN_TEXT) ?? [];
  if (file.ast === null)
    return (file.text.match(/'[^']*'|"[^"]*"/g) ?? []).flatMap((text) => text.match(PATH_IN_TEXT) ?? []);
  return [...walk(file.ast)].flatMap((node) => {
    if (!ts.isStringLiteralLike(node) || isModuleSpecifier(node)) return [];
    return node.text.match(PATH_IN_TEXT) ?? [];
  });
}

function isModuleSpecifier(node: ts.Node): boolean {
  const parent: ts.Node | undefined = node.parent;
  return ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent);
}

function reach(entries: readonly ProjectFile[], byPath: ReadonlyMap<string, ProjectFile>): Set<string> {
  const seen = new Set<string>();
  const waiting = entries.map(({ path }) => path);
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = byPath.get(path);
    if (file === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const specifier of importsOf(file)) waiting.push(posix.join(posix.dirname(path), specifier));
  }
  return seen;
}

/** Relative imports, static and dynamic; packages of the workspace are entries of their own (`exports`). */
function importsOf(file: ProjectFile): string[] {
  const { importedFiles } = ts.preProcessFile(file.text, true, true);
  return importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith('.'));
}
