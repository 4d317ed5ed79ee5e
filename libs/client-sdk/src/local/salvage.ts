/** What can still be read of a store with damaged rows. */
import { type Store, type StoredValue, type TableName, isDamaged } from '../storage/store.ts';

const KEYS_AT_ONCE = 1_000;

export interface Salvaged {
  readonly rows: readonly StoredValue[];
  /** The keys of those that cannot be read. */
  readonly damaged: readonly string[];
}

/**
 * Reads rows: a damaged one takes no other along.
 * @param given their keys; all of the table where it is left out
 * @throws StorageError for everything else that goes wrong
 */
export async function salvage(
  store: Pick<Store, 'get' | 'keys'>,
  table: TableName,
  given?: readonly string[],
): Promise<Salvaged> {
  const keys = given ?? (await store.keys(table, ''));
  const rows: StoredValue[] = [];
  const damaged: string[] = [];
  const look = async (some: readonly string[]): Promise<void> => {
    try {
      for (const value of await store.get(table, some)) if (value) rows.push(value);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      const half = some.length >> 1;
      if (half === 0) damaged.push(...some);
      else for (const part of [some.slice(0, half), some.slice(half)]) await look(part);
    }
  };
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
    await look(keys.slice(from, from + KEYS_AT_ONCE));
  }
  return { rows, damaged };
}
