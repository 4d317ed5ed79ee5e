import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from '@jest/globals';

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

/**
 * Where Node would find a dependency of the package at `path`: its own folder first, then each folder above.
 */
function candidates(path: string, dependency: string): string[] {
  const above = path.lastIndexOf('/node_modules/');
  const own = `${path === '' ? '' : `${path}/`}node_modules/${dependency}`;
  return path === '' ? [own] : [own, ...candidates(above === -1 ? '' : path.slice(0, above), dependency)];
}

it('names the optional packages of every platform, without which npm ci refuses a fresh clone', () => {
  // `npm install` drops those that a registry mirror does not serve. Then restore the lost entries from the
  // version before: `git diff package-lock.json` must show no removed platform packages.
  const text = readFileSync(resolve(import.meta.dirname, '../../package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as LockFile;
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !candidates(path, name).some((candidate) => candidate in packages),
    ),
  );
  expect(missing).toEqual([]);
});

it('names no registry, so that every mirror can serve it', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../../package-lock.json'), 'utf8');
  expect(text).not.toMatch(/"resolved": "https?:/);
});
