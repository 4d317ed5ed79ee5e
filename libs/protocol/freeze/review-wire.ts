import { createHash } from 'node:crypto';
import type { VersionEntry } from '../src/version/history.ts';
import { compareSchemas, normalizeSchema } from './compare-schemas.ts';
import type { Reader, Schema, SchemaChange } from './compare-schemas.ts';
import type { WireSchema } from './wire-schemas.ts';

/**
 * What `src/version/wire-schemas.lock.json` holds: the contract as it was when the newest version was
 * decided.
 */
export interface WireLock {
  readonly version: string;
  readonly schemas: Readonly<Record<string, LockedSchema>>;
}

export interface LockedSchema {
  readonly reader: Reader;
  /** SHA-256 of the normalized schema's JSON. */
  readonly hash: string;
  /** Normalized; kept so that a change can be judged and not only noticed. */
  readonly schema: unknown;
}

/** The lock that fits the present code. */
export function lockOf(schemas: readonly WireSchema[], version: string): WireLock {
  const entries = schemas.map(({ name, reader, schema }): [string, LockedSchema] => {
    const normalized = normalizeSchema(JSON.parse(JSON.stringify(schema)));
    return [name, { reader, hash: hashOf(normalized), schema: normalized }];
  });
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return { version, schemas: Object.fromEntries(entries) };
}

export function hashOf(normalized: unknown): string {
  return createHash('sha256').update(JSON.stringify(normalized)).digest('hex');
}

/**
 * Judges the present schemas against the lock.
 * @returns what has to be decided or done before the lock may be written again, each as a sentence; empty
 *   when nothing is open. A stale lock itself is not reported here.
 */
export function reviewWire(lock: WireLock, now: WireLock, history: readonly VersionEntry[]): string[] {
  const entry = history.at(-1);
  // Before its first publication a contract has no old readers to protect.
  if (entry === undefined || (history.length === 1 && entry.date === null)) return [];
  const changed = changedNames(lock, now);
  if (changed.length === 0) return [];
  const problems = changed.flatMap((name) => breakingChanges(name, lock, now, entry));
  if (entry.version === lock.version) {
    problems.push(
      `Version decision needed: ${changed.join(', ')} changed since ${lock.version}. Additive: add the next 1.<n>.0 to src/version/history.ts. Breaking: it goes to /sync/v2/.`,
    );
  } else if ([...entry.schemas].sort().join() !== changed.join()) {
    problems.push(
      `The entry ${entry.version} in src/version/history.ts must name exactly: ${changed.join(', ')}`,
    );
  }
  return problems;
}

/** Names whose schema or reader differs, is new or is gone; sorted. */
export function changedNames(lock: WireLock, now: WireLock): string[] {
  const names = new Set([...Object.keys(lock.schemas), ...Object.keys(now.schemas)]);
  return [...names].filter((name) => !isSame(lock.schemas[name], now.schemas[name])).sort();
}

function isSame(a: LockedSchema | undefined, b: LockedSchema | undefined): boolean {
  return a?.hash === b?.hash && a?.reader === b?.reader;
}

function breakingChanges(name: string, lock: WireLock, now: WireLock, entry: VersionEntry): string[] {
  const accepted = new Set(entry.accepted?.map(({ schema, path }) => `${schema}${path}`));
  return changesOf(lock.schemas[name], now.schemas[name])
    .filter(({ verdict, path }) => verdict === 'breaking' && !accepted.has(`${name}${path}`))
    .map(
      ({ path, what }) =>
        `Breaking: ${name}${path}: ${what}. Keep v1 as it was; the change goes to /sync/v2/ (or into \`accepted\` with a reason, if it breaks nobody).`,
    );
}

function changesOf(before: LockedSchema | undefined, after: LockedSchema | undefined): SchemaChange[] {
  if (before === undefined) return [{ path: '', what: 'new message', verdict: 'additive' }];
  if (after === undefined) return [{ path: '', what: 'message removed', verdict: 'breaking' }];
  if (before.reader !== after.reader)
    return [{ path: '', what: 'read by somebody else', verdict: 'breaking' }];
  return compareSchemas(before.schema as Schema, after.schema as Schema, after.reader);
}
