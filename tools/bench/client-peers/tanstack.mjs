import { notesOf } from './work.ts';

/** Writes stay in the outbox, as on a device that is offline. */
const OFFLINE = { isOnline: () => false, subscribe: () => () => undefined, notifyOnline() {}, dispose() {} };

/**
 * TanStack DB with a collection that its SQLite persistence keeps, and writes in the outbox of its offline
 * transactions. It keeps no clocks and no digest.
 * @param tanstack its functions, from wherever its packages are
 * @param database `execute(sql, params)` and `close()`, as its wa-sqlite has them
 * @param outbox a storage of its offline transactions
 */
export async function openTanstack(tanstack, database, outbox) {
  const stored = new Map();
  let source;
  const notes = tanstack.createCollection(
    tanstack.persistedCollectionOptions({
      ...{ id: 'notes', getKey: ({ id }) => id, schemaVersion: 1, startSync: true },
      persistence: tanstack.createBrowserWASQLitePersistence({ database }),
      sync: {
        sync: (given) => {
          source = given;
          given.markReady();
        },
      },
    }),
  );
  await notes.preload();
  const executor = tanstack.startOfflineExecutor({
    ...{ collections: { notes }, mutationFns: { push: async () => undefined }, onlineDetector: OFFLINE },
    storage: {
      get: (key) => outbox.get(key),
      set: async (key, value) => {
        await outbox.set(key, value);
        stored.get(key.slice('tx:'.length))?.();
      },
      delete: (key) => outbox.delete(key),
      keys: () => outbox.keys(),
      clear: () => outbox.clear(),
    },
  });
  await executor.waitForInit();
  return {
    sync: async (pages) => {
      for (const page of pages) {
        source.begin();
        for (const note of notesOf(page)) source.write({ type: 'insert', value: note });
        await source.commit();
      }
    },
    list: async () => notes.toArray,
    write: async ({ id, ...fields }) => {
      const transaction = executor.createOfflineTransaction({ mutationFnName: 'push', autoCommit: false });
      const isStored = new Promise((resolve) => stored.set(transaction.id, resolve));
      transaction.mutate(() => notes.update(id, (draft) => void Object.assign(draft, fields)));
      // It ends when the server has the write: never, here.
      void transaction.commit();
      await isStored;
    },
    textOf: async (id) => notes.get(id)?.text,
    onChange: (listener) =>
      void notes.subscribeChanges((changes) => changes.forEach(({ key }) => listener(key))),
    close: async () => {
      executor.dispose();
      await notes.cleanup();
      await database.close();
    },
  };
}
