import satisfies from 'spdx-satisfies';

/** What `package-lock.json` says of the packages that are installed, by path. */
export interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly license?: string; readonly link?: boolean; readonly dev?: boolean }>
  >;
}

/** A package that may not be used as it is. */
export interface RefusedLicence {
  /** Below the root of the workspace, for example `node_modules/pg`. */
  readonly path: string;
  /** As an SPDX expression; `none` where the package names none. */
  readonly licence: string;
}

/**
 * Licences that ask for no more than to be named: code under the project's own licence (Apache-2.0) may be
 * shipped together with code under these. SPDX identifiers.
 */
const ALLOWED = [
  ...['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'CC-BY-3.0', 'CC-BY-4.0'],
  ...['CC0-1.0', 'ISC', 'MIT', 'Python-2.0', 'Unlicense'],
];

/** Also of tools, which are shipped to nobody: it asks to publish what is changed in their own files. */
const ALLOWED_FOR_TOOLS = ['MPL-2.0'];

/** The packages of others whose licence is none of those that the project accepts. */
export function refusedLicences({ packages }: LockFile): RefusedLicence[] {
  return Object.entries(packages).flatMap(([path, { license: licence = 'none', link, dev }]) => {
    const isOwn = link === true || !path.includes('node_modules/');
    return isOwn || isAllowed(licence, dev === true) ? [] : [{ path, licence }];
  });
}

function isAllowed(licence: string, isTool: boolean): boolean {
  try {
    return satisfies(licence, isTool ? [...ALLOWED, ...ALLOWED_FOR_TOOLS] : ALLOWED);
  } catch {
    // No SPDX expression, for example `SEE LICENSE IN LICENSE.md`: a person has to read it.
    return false;
  }
}
