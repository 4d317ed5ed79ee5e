/**
 * How entities are stored. What a page of a full resync brings stays together, one row of table `page` for
 * each type in it: a store writes and reads a few large rows many times as fast as thousands of small ones.
 * What changes afterwards gets a row of its own in table `entity`, which is right from then on, until the
 * next full resync brings pages again.
 */
import {
  type EntityRow,
  type ScopeRow,
  type StoredEntity,
  type StoredPage,
  entityKey,
} from '../replica/rows.ts';
import { type Store, type StoredRow, type StoredValue, type TableName, keyOf } from '../storage/store.ts';
import type { Place } from './outbox-index.ts';

/** Tables with a scope at the beginning of each key. */
export const OF_SCOPE = ['entity', 'page', 'document'] as const;

type Reader = Pick<Store, 'get' | 'list'>;
type Put = StoredRow & { readonly table: TableName };

/** @param rows one of each entity; those of a page are all of it */
export function entityPuts(rows: Iterable<EntityRow>): Put[] {
  const puts: Put[] = [];
  const pages = new Map<string, EntityRow[]>();
  for (const row of rows) {
    const { scope, entityType, entityId, generation, delta, shown, page } = row;
    const stored: StoredEntity = { generation, delta, shown };
    if (page === null) {
      puts.push({ table: 'entity', key: entityKey(scope, entityType, entityId), value: { ...stored } });
    } else {
      const others = pages.get(page);
      if (others) others.push(row);
      else pages.set(page, [row]);
    }
  }
  for (const [key, [first, ...others]] of pages) {
    if (!first) continue;
    const deltas = [first, ...others].flatMap(({ delta }) => delta ?? []);
    const stored: StoredPage = { generation: first.generation, deltas };
    puts.push({ table: 'page', key, value: { ...stored } });
  }
  return puts;
}

/** @returns what was stored of a scope in pages of earlier generations */
export function oldPages({ scope, oldestGeneration }: ScopeRow, generation: number) {
  return Array.from({ length: generation - oldestGeneration }, (_each, at) => ({
    table: 'page' as const,
    prefix: keyOf(scope, String(oldestGeneration + at)),
  }));
}

/** @param key of table `entity` */
export function ownRow(key: string, value: StoredValue): EntityRow {
  const [scope = '', entityType = '', entityId = ''] = key.split('\0');
  const { generation, delta, shown } = value as unknown as StoredEntity;
  return { scope, entityType, entityId, generation, delta, shown, page: null };
}

/** @param key of table `page` */
export function pageRows(key: string, value: StoredValue): EntityRow[] {
  const scope = key.slice(0, key.indexOf('\0'));
  const { generation, deltas } = value as unknown as StoredPage;
  return deltas.map((delta) => {
    const { entityType, entityId } = delta;
    return { scope, entityType, entityId, generation, delta, shown: null, page: key };
  });
}

/** @param key of table `page` */
export function typeOfPage(key: string): string {
  return key.split('\0')[2] ?? '';
}

/** @returns the entities of a type in a scope; of several rows of one entity the last one is right */
export async function listRows(
  store: Reader,
  { scope, generation, oldestGeneration }: ScopeRow,
  entityType: string,
): Promise<EntityRow[]> {
  const rows: EntityRow[][] = [];
  for (let each = oldestGeneration; each <= generation; each += 1) {
    const pages = await store.list('page', keyOf(scope, String(each), entityType));
    for (const { key, value } of pages) rows.push(pageRows(key, value));
  }
  const own = await store.list('entity', keyOf(scope, entityType));
  rows.push(own.map(({ key, value }) => ownRow(key, value)));
  return rows.flat();
}

/**
 * Finds single entities of types that are not in memory. Where each is stored is listed once for a type, when
 * something of it changes; a type of which nothing does costs nothing.
 */
export class StoredEntities {
  readonly #store: Reader;
  /** By scope and type: the page of each entity; null for one with a row of its own. */
  readonly #pages = new Map<string, Map<string, Map<string, string | null>>>();

  constructor(store: Reader) {
    this.#store = store;
  }

  /** @returns those that are stored, by {@link entityKey} */
  async find(scopeRow: ScopeRow, places: Iterable<Place>): Promise<Map<string, EntityRow>> {
    const { scope } = scopeRow;
    const all = [...places];
    for (const type of new Set(all.map(({ entityType }) => entityType))) await this.#list(scopeRow, type);
    const own = new Set<string>();
    const pages = new Map<string, Set<string>>();
    for (const { entityType, entityId } of all) {
      const page = this.#pagesOf(scope, entityType)?.get(entityId);
      if (page === null) own.add(entityKey(scope, entityType, entityId));
      else if (page !== undefined) pages.set(page, (pages.get(page) ?? new Set()).add(entityId));
    }
    const found = new Map<string, EntityRow>();
    for (const row of await this.#pageRows([...pages.keys()])) {
      const isWanted = pages.get(row.page ?? '')?.has(row.entityId);
      if (isWanted) found.set(entityKey(scope, row.entityType, row.entityId), row);
    }
    const keys = [...own];
    const values = keys.length > 0 ? await this.#store.get('entity', keys) : [];
    for (const [at, key] of keys.entries()) {
      const value = values[at];
      if (value) found.set(key, ownRow(key, value));
    }
    return found;
  }

  /** These are stored now. */
  note(rows: Iterable<EntityRow>): void {
    for (const { scope, entityType, entityId, page } of rows) {
      this.#pagesOf(scope, entityType)?.set(entityId, page);
    }
  }

  /** Somebody else may have changed what is stored, or more than single entities has changed. */
  forget(): void {
    this.#pages.clear();
  }

  #pagesOf(scope: string, entityType: string): Map<string, string | null> | undefined {
    return this.#pages.get(scope)?.get(entityType);
  }

  async #list(scopeRow: ScopeRow, entityType: string): Promise<void> {
    if (this.#pagesOf(scopeRow.scope, entityType)) return;
    // Before its first page nothing is stored of a scope, and before an outcome has shown something.
    const rows = scopeRow.generation === 0 ? [] : await listRows(this.#store, scopeRow, entityType);
    const ofScope = this.#pages.get(scopeRow.scope) ?? new Map<string, Map<string, string | null>>();
    this.#pages.set(scopeRow.scope, ofScope);
    ofScope.set(entityType, new Map(rows.map(({ entityId, page }) => [entityId, page])));
  }

  async #pageRows(keys: readonly string[]): Promise<EntityRow[]> {
    const values = keys.length > 0 ? await this.#store.get('page', keys) : [];
    return keys.flatMap((key, at) => {
      const value = values[at];
      return value ? pageRows(key, value) : [];
    });
  }
}
