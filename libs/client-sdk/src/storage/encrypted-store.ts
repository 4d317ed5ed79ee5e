import { readJson } from '@sync/domain';

/** `@sync/client/encrypted`: any store, with values that only the app can read. */
import { textOf } from './encode-change.ts';
import { StorageError } from './store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from './store.ts';

/** How many rows are in the hands of WebCrypto at once. */
const AT_ONCE = 1_000;
const IV_BYTES = 12;
const LETTERS_AT_ONCE = 8_192;

/** WebCrypto's `CryptoKey`, which not every platform's types have under that name. */
export type StorageKey = Parameters<typeof crypto.subtle.encrypt>[1];

/**
 * Any store, with values that only the app can read: AES-GCM with a key that the app keeps, and a random
 * nonce for each time a row is written (a key is good for 2^32 of them). Table and key of a row are a part of
 * the seal, so a row that was moved or exchanged is `damaged`, as is everything under a wrong key.
 *
 * In clear stay the keys of rows, because the store sorts by them, the counters, because it compares them,
 * and about how long each value is. An older version of a row that is put back in its place is not noticed.
 */
export class EncryptedStore implements Store {
  readonly #inner: Store;
  readonly #key: StorageKey;
  readonly #encryptions = new Set<Promise<unknown>>();

  /**
   * @param key for AES-GCM, which may `encrypt` and `decrypt`; best one that is not extractable
   * @throws StorageError `failed` when it is none
   */
  constructor(inner: Store, key: StorageKey) {
    const { algorithm, usages } = key;
    if (algorithm.name !== 'AES-GCM' || !usages.includes('encrypt') || !usages.includes('decrypt')) {
      throw new StorageError('failed', 'the key of a store is one of AES-GCM, to encrypt and decrypt');
    }
    this.#inner = inner;
    this.#key = key;
  }

  get tabs(): Store['tabs'] {
    return this.#inner.tabs;
  }

  async get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    const wanted = [...keys];
    const sealed = await this.#inner.get(table, wanted);
    return inParts(sealed, async (value, place) =>
      value === undefined ? undefined : this.#open(table, wanted[place] ?? '', value),
    );
  }

  async list(table: TableName, prefix: string): Promise<StoredRow[]> {
    const rows = await this.#inner.list(table, prefix);
    return inParts(rows, async ({ key, value }) => ({ key, value: await this.#open(table, key, value) }));
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    return this.#inner.keys(table, prefix);
  }

  counters(names: readonly string[]): Promise<number[]> {
    return this.#inner.counters(names);
  }

  async commit(change: Commit): Promise<boolean> {
    // Copies, because the caller may go on while WebCrypto works.
    const texts = (change.puts ?? []).map(({ table, key, value }) => ({
      table,
      key,
      text: textOf(table, value),
    }));
    const rest = {
      isAnew: change.isAnew ?? false,
      deletePrefixes: (change.deletePrefixes ?? []).map((one) => ({ ...one })),
      deletes: (change.deletes ?? []).map((one) => ({ ...one })),
      expect: { ...change.expect },
      counters: { ...change.counters },
    };
    const work = inParts(texts, async ({ table, key, text }) => ({
      table,
      key,
      value: await this.#seal(table, key, text),
    })).then((puts) => this.#inner.commit({ ...rest, puts }));
    return this.#tracked(work);
  }

  clear(): Promise<void> {
    return this.#inner.clear();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#encryptions);
    await this.#inner.close();
  }

  /** Closing waits for it. */
  async #tracked<T>(work: Promise<T>): Promise<T> {
    this.#encryptions.add(work);
    try {
      return await work;
    } finally {
      this.#encryptions.delete(work);
    }
  }

  async #seal(table: TableName, key: string, text: string): Promise<StoredValue> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const algorithm = { name: 'AES-GCM', iv, additionalData: placeOf(table, key) };
    const sealed = await crypto.subtle.encrypt(algorithm, this.#key, new TextEncoder().encode(text));
    return { iv: base64Of(iv), sealed: base64Of(new Uint8Array(sealed)) };
  }

  async #open(table: TableName, key: string, value: StoredValue): Promise<StoredValue> {
    const { iv, sealed } = value;
    try {
      if (typeof iv !== 'string' || typeof sealed !== 'string') throw new TypeError('not encrypted');
      const algorithm = { name: 'AES-GCM', iv: bytesOf(iv), additionalData: placeOf(table, key) };
      const opened = await crypto.subtle.decrypt(algorithm, this.#key, bytesOf(sealed));
      return readJson(new TextDecoder('utf-8', { ignoreBOM: true }).decode(opened)) as StoredValue;
    } catch (cause) {
      throw new StorageError('damaged', `a row of ${table} does not open with this key`, { cause });
    }
  }
}

/** As JSON: it writes half an emoji so that no two keys have the same bytes. */
function placeOf(table: TableName, key: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify([table, key]));
}

async function inParts<T, R>(
  items: readonly T[],
  work: (item: T, place: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    const part = items.slice(from, from + AT_ONCE).map((item, place) => work(item, from + place));
    for (const result of await Promise.all(part)) results.push(result);
  }
  return results;
}

function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let from = 0; from < bytes.length; from += LETTERS_AT_ONCE) {
    binary += String.fromCharCode(...bytes.subarray(from, from + LETTERS_AT_ONCE));
  }
  return btoa(binary);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return bytes;
}
