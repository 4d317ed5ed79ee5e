import { isBuiltin } from 'node:module';
import { isForNode, publicEntries, stylesheetEntries } from './find-packages.ts';
import type { Manifest } from './find-packages.ts';

/** The oldest Node on which the quickstarts run: the first that runs TypeScript files as they are. */
export const OLDEST_NODE = '22.18.0';

/**
 * The package.json of a packed package: compiled files with their types in place of sources, and what all
 * packages share. It is not private any more, so that a registry takes the packed file.
 *
 * @param license SPDX
 */
export function packedManifest(manifest: Manifest, license: string): object {
  const { name, version, description, sideEffects, dependencies, peerDependencies, peerDependenciesMeta } =
    manifest;
  const entries = publicEntries(manifest).map(([entry, source]) => {
    const compiled = source.replace(/^\.\/src\//, './dist/').replace(/\.tsx?$/, '');
    return [entry, { types: `${compiled}.d.ts`, default: `${compiled}.js` }] as const;
  });
  const styles = stylesheetEntries(manifest).map(
    ([entry, source]) => [entry, source.replace(/^\.\/src\//, './dist/')] as const,
  );
  return {
    ...{ name, version, description, license, type: 'module', sideEffects },
    engines: { node: `>=${OLDEST_NODE}` },
    exports: {
      ...Object.fromEntries(entries),
      ...Object.fromEntries(styles),
      './package.json': './package.json',
    },
    files: ['dist'],
    ...{ dependencies, peerDependencies, peerDependenciesMeta },
  };
}

/**
 * What a packed file imports although its package.json does not name it. Modules of Node are among them where
 * no entry of the package is for Node.
 * @param imported as they stand in its imports
 */
export function undeclared(manifest: Manifest, imported: readonly string[]): string[] {
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
  const mayUseNode = publicEntries(manifest).some(([entry]) => isForNode(manifest, entry));
  return imported.filter((specifier) => {
    if (specifier.startsWith('.') || (mayUseNode && isBuiltin(specifier))) return false;
    const [scopeOrName = '', name = ''] = specifier.split('/');
    return !((specifier.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName) in declared);
  });
}
