import { afterEach, describe, expect, it } from '@jest/globals';
import { type EntityType, type SyncClient, createSyncClient } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { type OpenDocument, type Replaced, openDocument } from '@sync/client/yjs';
import * as Y from 'yjs';
import { type DeviceLink, type TestServer, createTestServer } from './index.ts';
import { documentOf, editDocument, keepDocuments } from './yjs/index.ts';

type Page = Record<'page', EntityType<{ title: string; epoch?: number }>>;
const SCOPE = 'user:u';

const clients: SyncClient<Page>[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

function serverOf(): TestServer {
  const server = createTestServer({
    entities: { page: { policy: 'crdt_yjs', review: 'collisions', documents: keepDocuments() } },
  });
  server.seed('page', { p1: { title: 'Dosage' } }, { scope: SCOPE });
  editDocument(server, 'page', 'p1', (doc) => doc.getText('body').insert(0, 'Take 5 mg\n'));
  return server;
}

async function open(link: DeviceLink): Promise<SyncClient<Page>> {
  const entities: Page = { page: {} };
  const client = await createSyncClient({ ...link.options, store: new MemoryStore(), entities });
  clients.push(client);
  client.start();
  const pages = await client.entity('page').load();
  await until(() => pages.get('p1') !== null);
  return client;
}

async function documentIn(client: SyncClient<Page>): Promise<OpenDocument> {
  const opened = openDocument(client.entity('page'), 'p1');
  await opened.whenLoaded;
  return opened;
}

const device = (server: TestServer, deviceId: string): DeviceLink => server.device({ userId: 'u', deviceId });
const textIn = (doc: Y.Doc): string => doc.getText('body').toJSON();
const textOf = (server: TestServer): string => textIn(documentOf(server, 'page', 'p1'));

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; !isTrue(); turn += 1) {
    if (turn > 2_000) throw new Error('it never came to be so');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a document of the server in memory', () => {
  it('is what two devices and the server wrote, each without the others', async () => {
    const server = serverOf();
    const [phone, tablet] = [device(server, 'phone'), device(server, 'tablet')];
    const [one, other] = [await open(phone), await open(tablet)];
    const [mine, theirs] = [await documentIn(one), await documentIn(other)];
    expect(textIn(mine.doc)).toBe('Take 5 mg\n');
    phone.offline();
    mine.doc.getText('body').insert(0, 'A. ');
    await mine.flush();
    theirs.doc.getText('body').insert(10, 'B. ');
    await theirs.flush();
    editDocument(server, 'page', 'p1', (doc) => doc.getText('body').insert(10, 'C. '));
    phone.online();
    one.networkChanged(true);
    const all = ['A. ', 'B. ', 'C. ', 'Take 5 mg\n'];
    for (const doc of [mine.doc, theirs.doc])
      await until(() => all.every((part) => textIn(doc).includes(part)));
    await until(() => !mine.status.isPending && !theirs.status.isPending);
    expect(textIn(theirs.doc)).toBe(textIn(mine.doc));
    expect(textOf(server)).toBe(textIn(mine.doc));
    expect(server.entity('page', 'p1')).toMatchObject({ op: 'put', data: { title: 'Dosage', epoch: 1 } });
    expect(server.entity('page', 'p1')).not.toHaveProperty('update');
  });

  it('has a record of two doses that met, and takes what a person makes of them', async () => {
    const server = serverOf();
    const link = device(server, 'phone');
    const client = await open(link);
    const opened = await documentIn(client);
    link.offline();
    replace(opened.doc, '5', '10');
    await opened.flush();
    editDocument(server, 'page', 'p1', (doc) => replace(doc, '5', '20'));
    link.online();
    client.networkChanged(true);
    await until(() => server.conflicts().length === 1);
    const [record] = server.conflicts();
    const field = { field: 'body:1', ours: 'Take 20 mg\n', theirs: 'Take 10 mg\n', winner: 'open' };
    expect(record).toMatchObject({ status: 'open', policy: 'crdt_yjs', fields: [field] });
    await until(() => textIn(opened.doc) === textOf(server) && !opened.status.isPending);
    const doc = documentOf(server, 'page', 'p1');
    doc.clientID = 1;
    const before = Y.encodeStateVector(doc);
    doc.getText('body').delete(5, 4);
    doc.getText('body').insert(5, '15');
    const update = Buffer.from(Y.encodeStateAsUpdate(doc, before)).toString('base64');
    const clock = server.entity('page', 'p1')?.clock;
    await client.resolve(record?.conflictId ?? '', { kind: 'merged', update }, clock);
    expect(textOf(server)).toBe('Take 15 mg\n');
    expect(server.conflicts()).toMatchObject([{ status: 'resolved', decision: { op: 'merge', update } }]);
  });

  it('refuses a change of another epoch, and keeps it in a record', async () => {
    const server = serverOf();
    const link = device(server, 'phone');
    const client = await open(link);
    const opened = await documentIn(client);
    const replaced: Replaced[] = [];
    opened.onReplaced((each) => replaced.push(each));
    link.offline();
    opened.doc.getText('body').insert(0, 'old ');
    await opened.flush();
    server.change('page', 'p1', { title: 'Anew', epoch: 2 });
    link.online();
    client.networkChanged(true);
    await until(() => replaced.length === 1 && server.conflicts().length === 1);
    expect([replaced[0]?.reason, textIn(opened.doc), textOf(server)]).toEqual(['new_epoch', '', '']);
    expect(server.outcomesOf({ userId: 'u', deviceId: 'phone' })).toMatchObject([
      { status: 'rejected', code: 'document_replaced', current: { op: 'put', data: { epoch: 2 } } },
    ]);
    expect(server.conflicts()).toMatchObject([{ op: 'merge', theirs: null }]);
    expect(server.conflicts()[0]?.theirsUpdate).not.toBeNull();
  });

  it('goes with its entity, and begins anew when that is made again', () => {
    const server = serverOf();
    server.change('page', 'p1', null);
    expect(() => documentOf(server, 'page', 'p1')).toThrow('There is no document page p1');
    server.change('page', 'p1', { title: 'Again' });
    expect([textOf(server), server.entity('page', 'p1')?.data?.['epoch']]).toEqual(['', 2]);
    const foreign = new Y.Doc();
    foreign.getText('body').insert(0, 'under a clientID of devices');
    const update = Y.encodeStateAsUpdate(foreign);
    expect(() => server.changeDocument('page', 'p1', update)).toThrow(/client.*reserved/i);
  });
});

function replace(doc: Y.Doc, words: string, by: string): void {
  const text = doc.getText('body');
  const at = text.toJSON().indexOf(words);
  text.delete(at, words.length);
  text.insert(at, by);
}
