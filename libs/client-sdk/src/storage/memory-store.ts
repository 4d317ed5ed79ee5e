/** `@sync/client/memory`: a store that lasts as long as the process. */
import { encodeChange, valueOf } from './encode-change.ts';
import { StorageError } from './store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from './store.ts';

/** What {@link MemoryStore}s keep. It outlives them, as a disk outlives a process. */
export class MemoryDisk {
  /** JSON by key, by table: text, so that nobody can change afterwards what is stored. */
  readonly tables = new Map<TableName, Map<string, string>>();
  readonly counters = new Map<string, number>();
}

/** For tests, and for apps that are content to begin anew with every start. */
export class MemoryStore implements Store {
  readonly #disk: MemoryDisk;
  #isOpen = true;

  constructor(disk = new MemoryDisk()) {
    this.#disk = disk;
  }

  async get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    const rows = this.#rowsOf(table);
    return keys.map((key) => {
      const text = rows.get(key);
      return text === undefined ? undefined : valueOf(table, text);
    });
  }

  async list(table: TableName, prefix: string): Promise<StoredRow[]> {
    const rows = this.#rowsOf(table);
    return keysIn(rows, prefix).map((key) => ({ key, value: valueOf(table, rows.get(key)) }));
  }

  async keys(table: TableName, prefix: string): Promise<string[]> {
    return keysIn(this.#rowsOf(table), prefix);
  }

  async counters(names: readonly string[]): Promise<number[]> {
    this.#assertOpen();
    return names.map((name) => this.#disk.counters.get(name) ?? 0);
  }

  async commit(change: Commit): Promise<boolean> {
    this.#assertOpen();
    const { counters } = this.#disk;
    const { isAnew, deletePrefixes, deletes, puts, expect, counters: set } = encodeChange(change);
    if (expect.some(([name, value]) => (counters.get(name) ?? 0) !== value)) return false;
    if (isAnew) {
      this.#disk.tables.clear();
      counters.clear();
    }
    for (const { table, prefix } of deletePrefixes) {
      const rows = this.#rowsOf(table);
      for (const key of rows.keys()) if (key.startsWith(prefix)) rows.delete(key);
    }
    for (const { table, key } of deletes) this.#rowsOf(table).delete(key);
    for (const { table, key, text } of puts) this.#rowsOf(table).set(key, text);
    for (const [name, value] of set) counters.set(name, value);
    return true;
  }

  async clear(): Promise<void> {
    await this.commit({ isAnew: true });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #rowsOf(table: TableName): Map<string, string> {
    this.#assertOpen();
    const rows = this.#disk.tables.get(table) ?? new Map<string, string>();
    this.#disk.tables.set(table, rows);
    return rows;
  }

  #assertOpen(): void {
    if (!this.#isOpen) throw new StorageError('closed', 'this store was closed');
  }
}

function keysIn(rows: ReadonlyMap<string, string>, prefix: string): string[] {
  return [...rows.keys()].filter((key) => key.startsWith(prefix)).sort();
}
