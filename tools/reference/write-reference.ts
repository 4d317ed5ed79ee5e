import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Application, LogLevel, Logger, type TypeDocOptions } from 'typedoc';
import { findPackages, publicEntries } from '../pack/find-packages.ts';

/** What TypeDoc has to say. */
class Findings extends Logger {
  readonly texts: string[] = [];

  override log(message: string, level: LogLevel): void {
    if (level >= LogLevel.Warn) this.texts.push(message);
  }
}

/**
 * Makes the reference of the packages that others install, from their docstrings.
 *
 * @param root the workspace
 * @param to folder for the pages; null to check only
 * @returns what is exported without a docstring, and links that lead nowhere
 */
export async function writeReference(root: string, to: string | null): Promise<string[]> {
  const packages = (await findPackages(root)).filter(({ manifest }) => manifest.publishConfig !== undefined);
  const entries = packages.flatMap(({ folder, manifest }) =>
    publicEntries(manifest).map(([entry, source]) => ({
      name: `${manifest.name}${entry.slice(1)}`,
      path: join(root, folder, source),
    })),
  );
  const entryPoints = entries.map(({ path }) => path);
  // Packages for browsers and for Node are one program here, with the types of both.
  const tsconfig = join(root, `.reference-${process.pid}.tsconfig.json`);
  const compilerOptions = { lib: ['es2024', 'dom', 'dom.iterable'], jsx: 'react-jsx' };
  const config = { extends: './tsconfig.base.json', compilerOptions, files: entryPoints };
  await writeFile(tsconfig, JSON.stringify(config));
  const findings = new Findings();
  try {
    const options: TypeDocOptions = {
      ...{ name: 'sync-service clients', readme: 'none', entryPoints, tsconfig, displayBasePath: root },
      ...{ excludePrivate: true, excludeInternal: true, excludeExternals: true, disableGit: true },
      sourceLinkTemplate: '{path}',
      requiredToBeDocumented: ['Class', 'Function', 'Interface', 'Method', 'TypeAlias', 'Variable'],
      packagesRequiringDocumentation: packages.map(({ manifest }) => manifest.name),
      validation: { notDocumented: true, invalidLink: true, notExported: false },
    };
    const application = await Application.bootstrap(options);
    application.logger = findings;
    const project = await application.convert();
    if (!project) return findings.texts;
    // They have the names of their folders, and an app imports them by these.
    for (const module of project.children ?? []) {
      const path = module.sources?.[0]?.fullFileName;
      module.name = entries.find((entry) => entry.path === path)?.name ?? module.name;
    }
    application.validate(project);
    if (to !== null) await application.generateDocs(project, to);
    return findings.texts;
  } finally {
    await rm(tsconfig);
  }
}
