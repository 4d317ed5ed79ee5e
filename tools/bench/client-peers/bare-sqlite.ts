import { DatabaseSync } from 'node:sqlite';
import { type OpenDevice, notesOf } from './work.ts';

/** The floor in Node: the same notes as rows of JSON by bare `node:sqlite`, flushed at each commit. */
export async function openBareSqlite(file: string): Promise<OpenDevice> {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('CREATE TABLE IF NOT EXISTS note (id TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)');
  const put = database.prepare('INSERT OR REPLACE INTO note (id, value) VALUES (?, ?)');
  const get = database.prepare('SELECT value FROM note WHERE id = ?');
  let tell: (id: string) => void = () => undefined;
  return {
    sync: async (pages) => {
      for (const page of pages) {
        database.exec('BEGIN');
        for (const { id, ...value } of notesOf(page)) put.run(id, JSON.stringify(value));
        database.exec('COMMIT');
      }
    },
    list: async () =>
      database
        .prepare('SELECT id, value FROM note')
        .all()
        .map(({ value }) => JSON.parse(value as string) as { text: string }),
    write: async ({ id, ...value }) => {
      put.run(id, JSON.stringify(value));
      tell(id);
    },
    textOf: async (id) => (JSON.parse(get.get(id)?.['value'] as string) as { text: string }).text,
    onChange: (listener) => void (tell = listener),
    close: async () => database.close(),
  };
}
