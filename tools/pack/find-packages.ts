import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** What a package.json in `libs/` says, as far as packing asks. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly sideEffects?: boolean | readonly string[];
  /** Where it is there, the package is for others to install. */
  readonly publishConfig?: object;
  /** Where it is there, the package is for Node alone. */
  readonly engines?: object;
  readonly exports?: Readonly<Record<string, { readonly source: string; readonly default: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: object;
}

/** A package of this workspace. */
export interface WorkspacePackage {
  /** Below the root, such as `libs/client-sdk`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Those with `publishConfig` in their package.json, and the packages of `libs/` on which they depend. */
export async function findPackages(root: string): Promise<WorkspacePackage[]> {
  const all = await readLibraries(root);
  const found = new Set(all.filter(({ manifest }) => manifest.publishConfig !== undefined));
  // A set that grows while it is read: each package that is added is asked for its own.
  for (const { manifest } of found) {
    const needed = { ...manifest.dependencies, ...manifest.peerDependencies };
    for (const each of all) if (each.manifest.name in needed) found.add(each);
  }
  return [...found].sort((one, other) => one.folder.localeCompare(other.folder));
}

async function readLibraries(root: string): Promise<WorkspacePackage[]> {
  const names = await readdir(join(root, 'libs'));
  const read = names.map(async (name): Promise<WorkspacePackage[]> => {
    const text = await readFile(join(root, 'libs', name, 'package.json'), 'utf8').catch(() => null);
    return text === null ? [] : [{ folder: `libs/${name}`, manifest: JSON.parse(text) as Manifest }];
  });
  return (await Promise.all(read)).flat();
}

/** The modules that others may import, by the name in `exports`, with their source files. */
export function publicEntries({ exports = {} }: Manifest): [entry: string, source: string][] {
  return Object.entries(exports).flatMap(([entry, { source }]) =>
    staysHere(entry) || isStylesheet(source) ? [] : [[entry, source]],
  );
}

/** Entries for tests of this repository. */
const staysHere = (entry: string): boolean => entry === './testing' || entry.startsWith('./testing/');

/** Whether an entry is for programs that run on Node, and may use what only Node has. */
export const isForNode = ({ engines }: Pick<Manifest, 'engines'>, entry: string): boolean =>
  engines !== undefined || entry === './node';

/** The same of stylesheets, which have no types. */
export function stylesheetEntries({ exports = {} }: Manifest): [entry: string, source: string][] {
  return Object.entries(exports).flatMap(([entry, { source }]) =>
    isStylesheet(source) ? [[entry, source]] : [],
  );
}

const isStylesheet = (source: string): boolean => source.endsWith('.css');
