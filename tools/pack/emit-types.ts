import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';
import { publicEntries } from './find-packages.ts';
import type { WorkspacePackage } from './find-packages.ts';

/** A source file that belongs into a package. */
export interface PackedFile {
  /** Below the root, without its ending: `libs/client-sdk/src/net/tokens`. */
  readonly path: string;
  /** The text of its `.d.ts`. */
  readonly types: string;
  /** What it imports, types included. */
  readonly imports: readonly string[];
}

/**
 * Type declarations of all that the public entries of these packages reach, and of nothing else.
 * @throws Error with the messages of the compiler
 */
export function emitTypes(root: string, packages: readonly WorkspacePackage[]): PackedFile[] {
  const entries = packages.flatMap(({ folder, manifest }) =>
    publicEntries(manifest).map(([, source]) => resolve(root, folder, source)),
  );
  const options = readOptions(root);
  const oldProgram = ts.createProgram(entries, options);
  const rootNames = [...entries, ...threadsOf(oldProgram)];
  const program = ts.createProgram({ rootNames, options, oldProgram });
  const problems = [...ts.getPreEmitDiagnostics(program)];
  const files: PackedFile[] = [];
  for (const source of program.getSourceFiles()) {
    if (source.isDeclarationFile) continue;
    const { diagnostics } = program.emit(source, (_path, text) => {
      files.push({
        path: source.fileName.slice(join(root, '/').length).replace(/\.tsx?$/, ''),
        types: withCompiledNames(text),
        imports: importsOf(source),
      });
    });
    problems.push(...diagnostics);
  }
  if (problems.length === 0) return files;
  throw new Error(
    ts.formatDiagnostics(problems, {
      getCurrentDirectory: () => root,
      getCanonicalFileName: (name) => name,
      getNewLine: () => '\n',
    }),
  );
}

/** Programs that are started as threads, which nobody imports: `new URL('./thread.js', import.meta.url)`. */
function threadsOf(program: ts.Program): string[] {
  const sources = program.getSourceFiles().filter(({ isDeclarationFile }) => !isDeclarationFile);
  return sources.flatMap(({ fileName, text }) =>
    [...text.matchAll(/'(\.\/[^']+\.ts)'[^;]*?,\s*import\.meta\.url/g)].map(([, path = '']) =>
      resolve(dirname(fileName), path),
    ),
  );
}

/** Those of the workspace; packages may use what browsers have. */
function readOptions(root: string): ts.CompilerOptions {
  const path = join(root, 'tsconfig.base.json');
  const { compilerOptions } = ts.readConfigFile(path, (name) => ts.sys.readFile(name)).config as {
    compilerOptions: object;
  };
  const { options } = ts.convertCompilerOptionsFromJson(
    {
      ...compilerOptions,
      lib: ['es2024', 'dom', 'dom.iterable'],
      ...{ noEmit: false, declaration: true, emitDeclarationOnly: true },
    },
    root,
  );
  return options;
}

/** The compiler leaves `./tokens.ts` in declarations as it is; the packed file is `./tokens.js`. */
function withCompiledNames(declarations: string): string {
  return declarations.replace(/(['"])(\.{1,2}\/[^'"\n]+)\.tsx?\1/g, '$1$2.js$1');
}

function importsOf(source: ts.SourceFile): string[] {
  return ts.preProcessFile(source.text, true, true).importedFiles.map(({ fileName }) => fileName);
}
