import { type RxCollection, type RxJsonSchema, type RxStorage, createRxDatabase } from 'rxdb/plugins/core';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { type Note, type OpenDevice, notesOf } from './work.ts';

const PAGE = 1_000;
const text = { type: 'string' } as const;
const SCHEMA: RxJsonSchema<Note> = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 36 }, userId: text, text, colour: text },
  required: ['id', 'userId', 'text', 'colour'],
};

/** RxDB, and its own replication with a pull handler that has the pages. It keeps no clocks and no digest. */
export async function openRxdb(storage: RxStorage<unknown, unknown>): Promise<OpenDevice> {
  const database = await createRxDatabase({ name: 'bench', storage, multiInstance: false });
  const { notes } = await database.addCollections<{ notes: RxCollection<Note> }>({
    notes: { schema: SCHEMA },
  });
  return {
    sync: async (pages) => {
      const replication = replicateRxCollection<Note, { at: number }>({
        ...{ collection: notes, replicationIdentifier: 'bench', live: false },
        pull: {
          batchSize: PAGE,
          handler: async (checkpoint) => {
            const at = checkpoint?.at ?? 0;
            const page = pages[at];
            const documents = page === undefined ? [] : notesOf(page);
            return {
              documents: documents.map((note) => ({ ...note, _deleted: false })),
              checkpoint: { at: at + 1 },
            };
          },
        },
      });
      replication.error$.subscribe((error) => {
        throw error;
      });
      await replication.awaitInitialReplication();
    },
    list: () => notes.find().exec(),
    write: (note) => notes.upsert(note),
    textOf: async (id) => ((await notes.findOne(id).exec()) as Note | null)?.text,
    onChange: (listener) => void notes.$.subscribe(({ documentId }) => listener(documentId)),
    close: async () => {
      await database.close();
    },
  };
}
