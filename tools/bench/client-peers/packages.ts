import { join, resolve } from 'node:path';
import { fetchPackages } from '../fetch-packages.ts';

/** Where TanStack's packages are. Its persistence is for another version of TanStack DB than ours is. */
export const PACKAGES = resolve(import.meta.dirname, '../../../node_modules/.cache/bench-client-peers');

const NAMES = ['db', 'browser-db-sqlite-persistence', 'db-sqlite-persistence-core', 'offline-transactions'];
const folderOf = (name: string): string => join(PACKAGES, 'node_modules/@tanstack', name);

/** For bundles with TanStack's packages, and the folder with the script of their worker. */
export const TANSTACK = {
  alias: Object.fromEntries(NAMES.map((name) => [`@tanstack/${name}`, folderOf(name)])),
  assets: join(folderOf('browser-db-sqlite-persistence'), 'dist/assets'),
};

/** @param note is told when packages are fetched. @throws what npm says */
export function fetchTanstack(note: (text: string) => void): Promise<void> {
  return fetchPackages(join(import.meta.dirname, 'packages.json'), PACKAGES, note);
}
