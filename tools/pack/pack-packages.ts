import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { emitTypes } from './emit-types.ts';
import type { PackedFile } from './emit-types.ts';
import { findPackages, stylesheetEntries } from './find-packages.ts';
import type { WorkspacePackage } from './find-packages.ts';
import { packedManifest, undeclared } from './packed-manifest.ts';

const run = promisify(execFile);

/** A package as a file that npm installs. */
export interface Tarball {
  /** Of the package, such as `@sync/client`. */
  readonly name: string;
  /** Absolute path of the `.tgz`. */
  readonly path: string;
}

/**
 * Compiles and packs every package that is for others, and those of the workspace that they need.
 *
 * @param root the workspace
 * @param to folder for the tarballs; made where it is not there
 * @throws Error when sources do not compile, or a file imports what its package does not declare
 */
export async function packPackages(root: string, to: string): Promise<Tarball[]> {
  const packages = await findPackages(root);
  const files = emitTypes(root, packages);
  refuseUndeclared(packages, files);
  const stage = await mkdtemp(join(tmpdir(), 'sync-pack-'));
  try {
    const folders = packages.map(({ folder }) => folder);
    const compiled = join(stage, 'compiled');
    await run(process.execPath, [join(root, 'tools/build/build.mjs'), '--to', compiled, ...folders]);
    await mkdir(to, { recursive: true });
    const { license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { license: string };
    const tarballs: Tarball[] = [];
    for (const each of packages) {
      const folder = join(stage, 'staged', each.folder);
      await stagePackage({ root, compiled, folder, each, files, license });
      const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', resolve(to), folder]);
      const [packed] = JSON.parse(stdout) as { filename: string }[];
      if (!packed) throw new Error(`npm packed nothing of ${each.manifest.name}`);
      tarballs.push({ name: each.manifest.name, path: resolve(to, packed.filename) });
    }
    return tarballs;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function refuseUndeclared(packages: readonly WorkspacePackage[], files: readonly PackedFile[]): void {
  const problems = packages.flatMap(({ folder, manifest }) =>
    files
      .filter(({ path }) => path.startsWith(`${folder}/`))
      .flatMap(({ path, imports }) =>
        undeclared(manifest, imports).map(
          (name) => `${path} imports ${name}, which ${folder} does not declare`,
        ),
      ),
  );
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

interface Staging {
  readonly root: string;
  readonly compiled: string;
  /** What npm packs. */
  readonly folder: string;
  readonly each: WorkspacePackage;
  readonly files: readonly PackedFile[];
  readonly license: string;
}

/** Lays out a package as it is installed: compiled files, types, package.json, licence and a read-me. */
async function stagePackage({ root, compiled, folder, each, files, license }: Staging): Promise<void> {
  const { name, description = '' } = each.manifest;
  const own = files.filter(({ path }) => path.startsWith(`${each.folder}/`));
  for (const { path, types } of own) {
    const below = path.slice(`${each.folder}/src/`.length);
    const target = join(folder, 'dist', below);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(`${target}.d.ts`, types);
    for (const ending of ['.js', '.js.map'])
      await cp(join(compiled, each.folder, 'dist', `${below}${ending}`), `${target}${ending}`);
  }
  if (stylesheetEntries(each.manifest).length > 0) {
    // With those that they import.
    const built = join(compiled, each.folder, 'dist');
    const found = (await readdir(built, { recursive: true })).filter((path) => path.endsWith('.css'));
    for (const path of found) await cp(join(built, path), join(folder, 'dist', path));
  }
  const manifest = packedManifest(each.manifest, license);
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await cp(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  await writeFile(join(folder, 'README.md'), `# ${name}\n\n${description}\n`);
}
