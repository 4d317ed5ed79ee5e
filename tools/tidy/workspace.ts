import { setTimeout as sleep } from 'node:timers/promises';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import ts from 'typescript';

/**
 * One text file of the project. `path` is relative to the root, with `/`; `ast` is null for what is not
 * TypeScript.
 */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
  readonly ast: ts.SourceFile | null;
}

/** What a rule found. `line` counts from 1. */
export interface Violation {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** One rule of the house: sees all files at once, because some rules are about how files relate. */
export interface Rule {
  readonly name: string;
  readonly check: (files: readonly ProjectFile[]) => Violation[];
}

const SKIPPED_FOLDERS = new Set([
  'node_modules',
  'dist',
  'coverage',
  'reports',
  '.git',
  '.nx',
  '.cache',
  '.stack',
  '.stryker-tmp',
]);
const BACK_WITHIN_MS = 2_000;
const READ_ENDINGS = [
  ...['.ts', '.tsx', '.mjs', '.json', '.sql', '.yml', '.yaml', '.md', '.html', '.css', '.js', '.sh'],
];
const READ_FOLDERS_WITHOUT_ENDING = ['.ci/'];

/** Parses a text as the project file at `path`; nothing is read from disk. */
export function projectFile(path: string, text: string): ProjectFile {
  const isSource = /\.tsx?$/.test(path) && !path.endsWith('.d.ts');
  return { path, text, ast: isSource ? ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true) : null };
}

/**
 * Reads every text file below `root` that a rule may look at. Fixtures (`*.fixture.ts`) break rules on
 * purpose and stay out.
 * @throws the file system's error when a file vanishes while reading, and is not back a moment later
 */
export async function readProject(root: string): Promise<ProjectFile[]> {
  const paths = await pathsBelow(root, root);
  const wanted = paths.filter(
    (path) => isRead(path) && !path.endsWith('.fixture.ts') && path !== 'package-lock.json',
  );
  return Promise.all(wanted.sort().map(async (path) => projectFile(path, await readText(join(root, path)))));
}

/**
 * Contracts are written anew by the tests of their consumers, which may run beside this: deleted first, then
 * written.
 */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    await sleep(BACK_WITHIN_MS);
    return readFile(path, 'utf8');
  }
}

function isRead(path: string): boolean {
  return (
    READ_ENDINGS.some((ending) => path.endsWith(ending)) ||
    READ_FOLDERS_WITHOUT_ENDING.some((folder) => path.startsWith(folder))
  );
}

async function pathsBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : pathsBelow(root, path);
    return entry.isFile() ? [relative(root, path).replaceAll('\\', '/')] : [];
  });
  return (await Promise.all(nested)).flat();
}

/** Where `node` starts in its file, counted from 1. */
export function lineOf(ast: ts.SourceFile, node: ts.Node): number {
  return ast.getLineAndCharacterOfPosition(node.getStart(ast)).line + 1;
}

/** All nodes below `node`, itself first, in source order. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* walk(child);
}

/** `x.test.ts`, or part of a testing entry, whose only purpose is to be used by tests. */
export function isTestCode(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/');
}

/** A rule that looks at one TypeScript file at a time. */
export function sourceRule(
  name: string,
  check: (file: ProjectFile, ast: ts.SourceFile) => { readonly line: number; readonly message: string }[],
): Rule {
  return {
    name,
    check: (files) =>
      files.flatMap((file) => {
        if (file.ast === null) return [];
        return check(file, file.ast).map((found) => ({ rule: name, path: file.path, ...found }));
      }),
  };
}

/** A rule that searches the lines of every text file, TypeScript or not. */
export function lineRule(name: string, check: (path: string, line: string) => string | null): Rule {
  return {
    name,
    check: (files) =>
      files.flatMap(({ path, text }) =>
        text.split('\n').flatMap((line, index) => {
          const message = check(path, line);
          return message === null ? [] : [{ rule: name, path, line: index + 1, message }];
        }),
      ),
  };
}
