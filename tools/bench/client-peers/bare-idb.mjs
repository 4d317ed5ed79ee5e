import { openDB } from 'idb';
import { notesOf } from './work.ts';

const STRICT = { durability: 'strict' };

/** The floor in browsers: the same notes as objects by bare `idb`, flushed at each commit. */
export async function openBareIdb() {
  const database = await openDB('bench', 1, {
    upgrade: (opened) => void opened.createObjectStore('note', { keyPath: 'id' }),
  });
  let tell = () => undefined;
  return {
    sync: async (pages) => {
      for (const page of pages) {
        const { store, done } = database.transaction('note', 'readwrite', STRICT);
        await Promise.all([...notesOf(page).map((note) => store.put(note)), done]);
      }
    },
    list: () => database.getAll('note'),
    write: async (note) => {
      const { store, done } = database.transaction('note', 'readwrite', STRICT);
      await Promise.all([store.put(note), done]);
      tell(note.id);
    },
    textOf: async (id) => (await database.get('note', id))?.text,
    onChange: (listener) => void (tell = listener),
    close: async () => database.close(),
  };
}
