/**
 * Compiles the projects named on the command line (`node tools/build/build.mjs libs/protocol
 * apps/sync-gateway`), or every project of the workspace when none is named: `<project>/src/**\/*.ts` and
 * `.tsx` to `<project>/dist/`, other files copied. With `--to FOLDER` it writes to `FOLDER/<project>/dist/`
 * and leaves alone what a running platform may have loaded.
 *
 * swc and not tsc: types are checked once for the whole workspace (`npm run typecheck`), and a start on a
 * fresh clone must not wait for a second checker run.
 */
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { transform } from '@swc/core';
import { swcOptions } from './swc-options.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const { values, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: { to: { type: 'string', default: root } },
});

/** @returns {Promise<string[]>} folders of all projects that have a `src`, relative to the root */
async function allProjects() {
  const found = [];
  for (const group of ['libs', 'apps', 'e2e']) {
    for (const entry of await readdir(join(root, group), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const content = await readdir(join(root, group, entry.name));
      if (content.includes('package.json') && content.includes('src')) found.push(`${group}/${entry.name}`);
    }
  }
  return found;
}

/**
 * Compiles one project into an emptied `dist`, so that a deleted source never lives on as a compiled file.
 */
async function buildProject(project) {
  const source = join(root, project, 'src');
  const target = resolve(values.to, project, 'dist');
  await rm(target, { recursive: true, force: true });
  const files = await readdir(source, { recursive: true, withFileTypes: true });
  await Promise.all(
    files
      .filter((file) => file.isFile() && !file.name.endsWith('.test.ts'))
      .map(async (file) => {
        const from = join(file.parentPath, file.name);
        const to = join(target, relative(source, from));
        await mkdir(dirname(to), { recursive: true });
        if (!/\.tsx?$/.test(file.name)) return cp(from, to);
        // As seen from `<project>/dist`: a source map names no path of this machine.
        const sourceFileName = relative(dirname(join(root, project, 'dist', relative(source, from))), from);
        const options = { ...swcOptions({ tsx: from.endsWith('x') }), filename: from, sourceFileName };
        const output = await transform(await readFile(from, 'utf8'), options);
        const compiled = to.replace(/\.tsx?$/, '.js');
        await writeFile(`${compiled}.map`, output.map ?? '');
        await writeFile(
          compiled,
          `${output.code}\n//# sourceMappingURL=${relative(dirname(compiled), compiled)}.map\n`,
        );
      }),
  );
}

for (const project of asked.length > 0 ? asked : await allProjects()) await buildProject(project);
