import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findPackages, isForNode, publicEntries } from './find-packages.ts';
import type { Manifest } from './find-packages.ts';
import { packPackages } from './pack-packages.ts';
import type { Tarball } from './pack-packages.ts';
import { packedManifest, undeclared } from './packed-manifest.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** An app outside of the repository that has installed everything. */
let app: string;
let tarballs: Tarball[];
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'sync-packed-'));
  tarballs = await packPackages(ROOT, join(app, 'packages'));
  await writeFile(join(app, 'package.json'), '{"private":true,"type":"module"}');
  // An app on React has its types already, one with documents has Yjs, a tester of stores fast-check, and a
  // service on Nest has Nest.
  const others = [
    ...['@types/react@19.3.3', 'yjs@13.6.33', 'fast-check@4.10.2', 'reflect-metadata@0.2.2', 'rxjs@7.8.2'],
    ...['@nestjs/common@12.5.1', '@nestjs/core@12.5.1', '@nestjs/microservices@12.1.1'],
  ];
  const files = [...tarballs.map(({ path }) => path), ...others];
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...files], { cwd: app });
}, TIMEOUT_MS);
afterAll(async () => rm(app, { recursive: true, force: true }));

/** All entries of all packages, as an app imports them. */
const allEntries = (): Promise<string[]> => entriesWhere(() => true);

/** Those that may be used where there is no Node. */
const webEntries = (): Promise<string[]> => entriesWhere((manifest, entry) => !isForNode(manifest, entry));

async function entriesWhere(isWanted: (manifest: Manifest, entry: string) => boolean): Promise<string[]> {
  const packages = await findPackages(ROOT);
  return packages.flatMap(({ manifest }) =>
    publicEntries(manifest)
      .filter(([entry]) => isWanted(manifest, entry))
      .map(([entry]) => `${manifest.name}${entry.slice(1)}`),
  );
}

/** Where types were missing, everything could be imported. */
const MISSING = `// @ts-expect-error it has nothing of this name
import { nowhere } from '@sync/client';
export const missing: unknown = nowhere;
`;

/** What an app has before the lines of the read-me. */
const READ_ME_NEEDS = `
import { createSyncClient, type EntityType, type SyncClientOptions, type SyncStatus } from '@sync/client';
declare const note: EntityType<{ text: string }>;
declare const { identity, key, store, transport }: SyncClientOptions<{ note: typeof note }>;
declare function draw(list: readonly object[]): void;
declare function show(state: SyncStatus['state'], reason: string | null, pending: number): void;
declare function askSomebody(conflict: object): void;
`;

function importing(entries: readonly string[]): string {
  const names = entries.map((_entry, at) => `entry${at}`);
  const imports = entries.map((entry, at) => `import * as ${names[at] ?? ''} from '${entry}';\n`);
  return `${imports.join('')}export const all = [${names.join(', ')}];\n`;
}

/** @returns what the compiler says of the app and of our types; those of others are their own matter */
async function compile(name: string, code: string, options: object): Promise<string[]> {
  const path = join(app, `${name}.ts`);
  await writeFile(path, code);
  const strictest = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
  const given = { noEmit: true, skipLibCheck: false, target: 'es2022', ...strictest, ...options };
  const converted = ts.convertCompilerOptionsFromJson(given, app);
  const program = ts.createProgram([path], converted.options);
  const own = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName === path || fileName.includes('/node_modules/@sync/'));
  expect(own.length).toBeGreaterThan(100);
  return [
    ...converted.errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...own.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ].map(({ file, messageText }) => {
    return `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

describe('packed packages', () => {
  it('are those of devices and of owning services, and what they need', () => {
    expect(tarballs.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        ...['@sync/client', '@sync/client-react', '@sync/client-rxdb', '@sync/client-tanstack-db'],
        ...['@sync/owner-sdk', '@sync/messaging', '@sync/postgres', '@sync/documents'],
        ...['@sync/domain', '@sync/protocol', '@sync/vector-clock'],
      ]),
    );
  });

  it('are what package authors recommend, by publint', async () => {
    for (const { name } of tarballs) {
      const pkgDir = join(app, 'node_modules', name);
      const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
      expect(messages.map((message) => `${name}: ${formatMessage(message, pkg) ?? message.code}`)).toEqual(
        [],
      );
    }
  });

  it('have types that are right wherever ES modules are, by Are The Types Wrong', async () => {
    for (const { name, path } of tarballs) {
      const checked = await checkPackage(createPackageFromTarballData(await readFile(path)));
      const problems = checked.types === false ? ['no types'] : checked.problems.map(({ kind }) => kind);
      // They have no CommonJS; Node 22 lets it require ES modules. Resolution of Node 10 knows no `exports`.
      const expected = ['NoResolution', 'CJSResolvesToESM'];
      expect([name, problems.filter((kind) => !expected.includes(kind))]).toEqual([name, []]);
    }
  }, 60_000);

  it(
    'compile strictly in an app for Node without the types of browsers',
    async () => {
      const entries = (await allEntries()).filter((entry) => !/indexeddb|react/.test(entry));
      const types = { types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] };
      const options = { module: 'nodenext', lib: ['es2024'], ...types };
      expect(await compile('node', MISSING + importing(entries), options)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'compile strictly in an app that is bundled for browsers',
    async () => {
      const options = { module: 'esnext', moduleResolution: 'bundler', types: [] };
      const lib = { lib: ['es2022', 'dom', 'dom.iterable'] };
      const code = MISSING + importing(await webEntries());
      expect(await compile('web', code, { ...options, ...lib })).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'have what the read-me shows',
    async () => {
      const readMe = await readFile(join(ROOT, 'README.md'), 'utf8');
      const [, code = ''] = /```ts\n(.*?)```/s.exec(readMe) ?? [];
      expect(code).toContain('createSyncClient');
      const lib = { lib: ['es2022', 'dom'], module: 'esnext', moduleResolution: 'bundler', types: [] };
      expect(await compile('read-me', READ_ME_NEEDS + code, lib)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'check a store as the guide shows, and find a broken one',
    async () => {
      const guide = await readFile(join(ROOT, 'docs/guides/check-your-store.md'), 'utf8');
      const blocks = [...guide.matchAll(/```ts file=(\S+)\n(.*?)```/gs)];
      expect(blocks.map(([, name]) => name)).toEqual(['my-store.ts', 'my-store.test.ts', 'writer.ts']);
      const check = async (change: (code: string) => string, ...only: readonly string[]): Promise<string> => {
        for (const [, name = '', code = ''] of blocks) await writeFile(join(app, name), change(code));
        const args = ['--test', '--test-reporter=tap', ...only, 'my-store.test.ts'];
        return run(process.execPath, args, { cwd: app, env: {} }).then(
          ({ stdout }) => stdout,
          (error: unknown) => (error as { stdout: string }).stdout,
        );
      };
      const good = await check((code) => code);
      expect(good).toMatch(/^# pass 33$/m);
      expect(good).toMatch(/^# fail 0$/m);
      const noTransaction = (code: string): string =>
        code.replaceAll(/exec\('(BEGIN|COMMIT)'\)/g, "exec('')");
      const broken = await check(noTransaction, '--test-name-pattern=several handles');
      expect(broken).toMatch(/^not ok \d+ - the same of several handles$/m);
    },
    TIMEOUT_MS,
  );

  it('load in Node, and bundle for platforms that have no Node modules', async () => {
    await writeFile(join(app, 'load-all.mjs'), importing(await allEntries()));
    await run(process.execPath, [join(app, 'load-all.mjs')], { cwd: app, env: {} });
    await writeFile(join(app, 'load.mjs'), importing(await webEntries()));
    const options = { bundle: true, write: false, format: 'esm', platform: 'neutral' } as const;
    const input = { entryPoints: [join(app, 'load.mjs')], mainFields: ['module', 'main'] };
    const { warnings, outputFiles } = await build({ ...input, ...options, logLevel: 'silent' });
    expect(warnings).toEqual([]);
    expect(outputFiles[0]?.text).toContain('createSyncClient');
  });

  it('start the thread in which documents are merged, which nobody imports', async () => {
    const program = `
      import { DocumentPool } from '@sync/documents/node';
      import * as Y from 'yjs';
      const pool = new DocumentPool();
      const doc = new Y.Doc();
      doc.getText('body').insert(0, 'merged');
      const { state } = await pool.run('squash', { base: null, updates: [Y.encodeStateAsUpdate(doc)] });
      const other = new Y.Doc();
      Y.applyUpdate(other, state);
      console.log(other.getText('body').toJSON());
      await pool.close();`;
    await writeFile(join(app, 'merge.mjs'), program);
    const { stdout } = await run(process.execPath, [join(app, 'merge.mjs')], { cwd: app, env: {} });
    expect(stdout).toBe('merged\n');
  });

  it('have the stylesheet of the view with all that it imports', async () => {
    const contents = `@import '@sync/client-react/styles.css'`;
    const options = { bundle: true, write: false, logLevel: 'silent' } as const;
    const { outputFiles } = await build({ stdin: { contents, loader: 'css', resolveDir: app }, ...options });
    expect(outputFiles[0]?.text).toContain('.sync-conflict');
    expect(outputFiles[0]?.text).toContain('--sync-accent');
  });

  it('name no path of this machine, and have no tests', async () => {
    for (const { name } of tarballs) {
      const folder = join(app, 'node_modules', name);
      const files = await readdir(folder, { recursive: true, withFileTypes: true });
      for (const file of files.filter((each) => each.isFile())) {
        const path = join(file.parentPath, file.name);
        expect(path).not.toMatch(/\/testing\/|\.test\./);
        const text = await readFile(path, 'utf8');
        expect([path, text.includes(ROOT) || text.includes(tmpdir() + '/')]).toEqual([path, false]);
      }
    }
  });
});

describe('a package.json that is packed', () => {
  const manifest: Manifest = {
    name: '@sync/one',
    version: '1.0.0',
    sideEffects: false,
    exports: {
      '.': { source: './src/index.ts', default: './dist/index.js' },
      './view': { source: './src/view/view.tsx', default: './dist/view/view.js' },
      './testing': { source: './src/testing/index.ts', default: './dist/testing/index.js' },
      './testing/more': { source: './src/testing/more.ts', default: './dist/testing/more.js' },
    },
    dependencies: { '@sync/two': '1.0.0', idb: '8.0.4' },
    peerDependencies: { react: '^19' },
  };

  it('has compiled files with types, and no entry for tests', () => {
    expect(packedManifest(manifest, 'MIT')).toMatchObject({
      exports: {
        '.': { types: './dist/index.d.ts', default: './dist/index.js' },
        './view': { types: './dist/view/view.d.ts', default: './dist/view/view.js' },
        './package.json': './package.json',
      },
      ...{ license: 'MIT', files: ['dist'], sideEffects: false, dependencies: manifest.dependencies },
    });
    expect(JSON.stringify(packedManifest(manifest, 'MIT'))).not.toMatch(/source|testing|private/);
  });

  it('has to declare what its files import', () => {
    const imported = ['./a.ts', 'idb', 'idb/with', '@sync/two/entry', 'react/jsx-runtime'];
    expect(undeclared(manifest, imported)).toEqual([]);
    expect(undeclared({ ...manifest, engines: {} }, ['node:fs', 'crypto', 'idbx'])).toEqual(['idbx']);
    expect(undeclared(manifest, ['@sync/three', 'node:fs', 'crypto', 'idbx'])).toEqual([
      ...['@sync/three', 'node:fs', 'crypto', 'idbx'],
    ]);
  });
});
