import { StorageError } from '../storage/store.ts';
import type { Commit, Store, StorageErrorCode, StoredRow, StoredValue, TableName } from '../storage/store.ts';

/**
 * Any store, and what can go wrong with it: commits that fail, and a process that dies between two effects.
 * What a dead process waited for never comes, so its promises stay open for ever; who starts again opens
 * another store on the same data.
 */
export class FaultyStore implements Store {
  readonly #inner: Store;
  #failures: StorageErrorCode[] = [];
  #crash: { commitsLeft: number; readonly when: 'before' | 'after' } | null = null;
  #isDead = false;
  #tellCrash: () => void = () => undefined;

  /** Settles when the process has died. */
  readonly crashed = new Promise<void>((resolve) => (this.#tellCrash = resolve));
  /** How many commits were begun, for tests that crash at each in turn. */
  commits = 0;

  constructor(inner: Store) {
    this.#inner = inner;
  }

  /** The next `times` commits fail with this code; nothing of them is stored. */
  failCommits(code: StorageErrorCode, times = 1): void {
    this.#failures = Array<StorageErrorCode>(times).fill(code);
  }

  /**
   * @param commit which one from now on, from 1
   * @param when `before` it is stored, or `after` that but before it was answered
   */
  crashAt(commit: number, when: 'before' | 'after'): void {
    this.#crash = { commitsLeft: commit, when };
  }

  /** Dies now. */
  kill(): void {
    this.#isDead = true;
    this.#tellCrash();
  }

  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    return this.#whileAlive(() => this.#inner.get(table, keys));
  }

  list(table: TableName, prefix: string): Promise<StoredRow[]> {
    return this.#whileAlive(() => this.#inner.list(table, prefix));
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    return this.#whileAlive(() => this.#inner.keys(table, prefix));
  }

  counters(names: readonly string[]): Promise<number[]> {
    return this.#whileAlive(() => this.#inner.counters(names));
  }

  commit(change: Commit): Promise<boolean> {
    return this.#whileAlive(async () => {
      this.commits += 1;
      const crash = this.#crash;
      if (crash) crash.commitsLeft -= 1;
      const isLast = crash?.commitsLeft === 0;
      if (isLast && crash.when === 'before') this.kill();
      if (this.#hasDied()) return false;
      const failure = this.#failures.pop();
      if (failure !== undefined) throw new StorageError(failure, 'told to fail by the test');
      const stored = await this.#inner.commit(change);
      if (isLast) this.kill();
      return stored;
    });
  }

  clear(): Promise<void> {
    return this.#whileAlive(() => this.#inner.clear());
  }

  close(): Promise<void> {
    return this.#whileAlive(() => this.#inner.close());
  }

  async #whileAlive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#hasDied()) return NEVER;
    try {
      const result = await work();
      return this.#hasDied() ? await NEVER : result;
    } catch (error) {
      if (this.#hasDied()) return NEVER;
      throw error;
    }
  }

  #hasDied(): boolean {
    return this.#isDead;
  }
}

const NEVER = new Promise<never>(() => undefined);
