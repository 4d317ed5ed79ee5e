import type { EntitySet, Tier, Write, WriteOptions } from '@sync/client';
import type { OperationType } from '@tanstack/db';

/** What is used of TanStack's `PendingMutation`, of any row. */
export interface Mutation {
  readonly type: OperationType;
  readonly key: string | number;
  readonly modified: object;
  readonly changes: object;
  readonly metadata: unknown;
  readonly collection: { readonly id: string; readonly utils: object };
}
type Mutations = { readonly mutations: readonly Mutation[] };

/** What became of a mutation of TanStack's, for as long as the app holds its transaction. */
const writes = new WeakMap<Mutation, Write>();

/**
 * Stores the mutations of a transaction on the device, in their order. It is a `mutationFn` for
 * `createTransaction`, also for several collections, and ends when all are stored.
 * @throws SyncError, StorageError: the first that went wrong. Others of the transaction may be stored.
 */
export async function storeTransaction({ transaction }: { readonly transaction: Mutations }): Promise<void> {
  const stored = transaction.mutations.map(async (mutation) => {
    const { store } = mutation.collection.utils as { store?: (mutation: Mutation) => Promise<Write> };
    if (!store) throw new TypeError(`Collection ${mutation.collection.id} has no syncCollectionOptions`);
    writes.set(mutation, await store(mutation));
  });
  // Until nothing of it is under way: the device shows what was stored of it.
  const failed = (await Promise.allSettled(stored)).find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Writes one mutation.
 * @param inScope of a new entity; `metadata` of the mutation may name another
 * @param toData what is written of a row, or of some of its fields
 */
export function storeMutation(
  entities: EntitySet<object>,
  { type, key, modified, changes, metadata }: Mutation,
  inScope: WriteOptions,
  toData: (fields: object) => object,
): Promise<Write> {
  const id = String(key);
  const options = (metadata ?? {}) as WriteOptions;
  if (type === 'delete') return entities.delete(id, options);
  if (type === 'insert') return entities.put(id, toData(modified), { ...inScope, ...options });
  // A patch cannot take a field away: what is undefined is in no JSON.
  if (Object.values(changes).includes(undefined)) return entities.put(id, toData(modified), options);
  return entities.patch(id, toData(changes), options);
}

/**
 * Waits until all mutations of a transaction have come so far: for ever, where the device stays offline.
 * @throws SyncError `not_applied` where one was refused, lost or waits for a person
 * @throws what kept the device from storing them
 */
export async function waitFor(
  transaction: Mutations & { when(state: 'settled'): Promise<unknown> },
  tier: Tier,
  options: { readonly signal?: AbortSignal } = {},
) {
  await transaction.when('settled');
  const waitForOne = async (each: Mutation) => (await writes.get(each)?.wait(tier, options)) ?? null;
  return Promise.all(transaction.mutations.map(waitForOne));
}
