import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import type { DeviceIdentity, DeviceKey, Transport } from '@sync/client';
import { createRxDatabase } from 'rxdb';
import type { RxDatabase } from 'rxdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import type { RxReplicationState } from 'rxdb/plugins/replication';
import { SCOPE, makeServer, until } from './testing/rx-device.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Inside the workspace, so that `@sync/*` resolves as it does for a reader. */
const FOLDER = join(ROOT, '.cache', `rxdb-guide-${process.pid}`);

afterAll(async () => rm(FOLDER, { recursive: true, force: true }));

interface Device {
  readonly transport: Transport;
  readonly identity: DeviceIdentity;
  readonly key: DeviceKey;
}
type Replicate = (
  db: RxDatabase,
  device: Device,
  say: (text: string) => void,
) => Promise<RxReplicationState<{ id: string; text: string }, unknown>>;

it('does what the guide shows', async () => {
  const guide = await readFile(join(ROOT, 'docs/guides/coming-from.md'), 'utf8');
  const [, section = ''] = guide.split('### Keep RxDB');
  const [, code = ''] = /```ts\n(.*?)```/s.exec(section) ?? [];
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(40);
  await mkdir(FOLDER, { recursive: true });
  const file = join(FOLDER, 'replicate-notes.ts');
  await writeFile(file, code);
  const { replicateNotes } = (await import(file)) as { replicateNotes: Replicate };

  const server = makeServer({
    handle: (sent) =>
      sent.data?.['text'] === ''
        ? { kind: 'rejected', code: 'data_invalid', message: 'a note needs a text' }
        : { kind: 'accepted', data: sent.data },
  });
  server.seed('note', { theirs: { text: 'chapter 3' } }, { scope: SCOPE });
  const { options } = server.device({ userId: 'u', deviceId: 'guide' });
  const db = await createRxDatabase({ name: 'guide', storage: getRxStorageMemory(), multiInstance: false });
  const said: string[] = [];
  const replication = await replicateNotes(db, options, (text) => said.push(text));
  await replication.awaitInitialReplication();
  const notes = replication.collection;
  expect((await notes.findOne('theirs').exec(true)).text).toBe('chapter 3');
  await notes.insert({ id: 'mine', text: 'chapter 4' });
  await notes.insert({ id: 'bad', text: '' });
  await until(() => said.length === 1 && server.entity('note', 'mine') !== undefined);
  await replication.awaitInSync();
  expect(said).toEqual(['a note needs a text']);
  expect(await notes.findOne('bad').exec()).toBeNull();
  await db.close();
});
