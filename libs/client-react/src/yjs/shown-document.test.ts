import { afterEach, describe, expect, it } from '@jest/globals';
import { type EntityType, type SyncClient, createSyncClient } from '@sync/client';
import { MemoryStore } from '@sync/client/memory';
import { type DeviceLink, createTestServer } from '@sync/client-testing';
import { documentOf, editDocument, keepDocuments } from '@sync/client-testing/yjs';
import { openDocument } from '@sync/client/yjs';
import type * as Y from 'yjs';
import { type DocumentView, SharedDocument, sharedDocument } from './shown-document.ts';

type Pages = Record<'page', EntityType<object>>;
const SCOPE = 'course:c';

const clients: SyncClient<Pages>[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

async function world() {
  const server = createTestServer({
    entities: { page: { policy: 'crdt_yjs', documents: keepDocuments() } },
  });
  server.grant('u', SCOPE);
  for (const id of ['p1', 'p2']) {
    server.seed('page', { [id]: { title: id } }, { scope: SCOPE });
    editDocument(server, 'page', id, (doc) => doc.getText('body').insert(0, `text of ${id}`));
  }
  const link: DeviceLink = server.device({ userId: 'u', deviceId: 'phone' });
  const entities: Pages = { page: {} };
  const client = await createSyncClient({ ...link.options, store: new MemoryStore(), entities });
  clients.push(client);
  client.start();
  const pages = await client.entity('page').load();
  await until(() => pages.list().length === 2);
  const textOf = (id: string): string => textIn(documentOf(server, 'page', id));
  return { server, link, client, textOf };
}

/** A component that shows the document: all views that it was told of. */
function show(shared: SharedDocument) {
  const views: DocumentView[] = [];
  const stop = shared.subscribe(() => views.push(shared.snapshot()));
  return { views, stop };
}

const textIn = (doc: Y.Doc | null): string => doc?.getText('body').toJSON() ?? 'no document';
const type = ({ doc }: DocumentView, words: string): void => doc?.getText('body').insert(0, words);
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function until(isTrue: () => boolean): Promise<void> {
  for (let turns = 0; !isTrue(); turns += 1) {
    if (turns > 2_000) throw new Error('it never came to be so');
    await turn();
  }
}

describe('a document that components share', () => {
  it('is one Y.Doc for all of them, and another for another id', async () => {
    const { client } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    expect(sharedDocument(client, 'page', 'p1')).toBe(shared);
    const [one, other] = [show(shared), show(shared)];
    expect(shared.snapshot()).toMatchObject({ state: 'loading', doc: null, isPending: false });
    await until(() => shared.snapshot().state === 'open');
    expect(textIn(shared.snapshot().doc)).toBe('text of p1');
    expect(other.views).toEqual(one.views);
    const second = sharedDocument(client, 'page', 'p2');
    const third = show(second);
    await until(() => second.snapshot().state === 'open');
    expect(textIn(second.snapshot().doc)).toBe('text of p2');
    one.stop();
    await turn();
    // The other component still shows it.
    expect(shared.snapshot().state).toBe('open');
    other.stop();
    third.stop();
    await until(() => shared.snapshot().state === 'loading' && second.snapshot().state === 'loading');
  });

  it('stays open where React takes a component away and puts it back', async () => {
    const { client } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    show(shared).stop();
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    const { doc, docKey } = shared.snapshot();
    stop();
    const again = show(shared);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect([shared.snapshot().doc === doc, shared.snapshot().docKey]).toEqual([true, docKey]);
    again.stop();
  });

  it('stores what was typed when the last one goes, and shows it when somebody comes back', async () => {
    const { client, link, textOf } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    link.offline();
    type(shared.snapshot(), 'typed, and gone; ');
    expect(shared.snapshot().isPending).toBe(true);
    stop();
    await until(() => shared.snapshot().state === 'loading');
    const again = show(shared);
    await until(() => shared.snapshot().state === 'open');
    expect(textIn(shared.snapshot().doc)).toBe('typed, and gone; text of p1');
    link.online();
    client.networkChanged(true);
    await until(() => !shared.snapshot().isPending);
    expect(textOf('p1')).toBe('typed, and gone; text of p1');
    again.stop();
  });

  it('stays open for whoever comes back while it is stored', async () => {
    const { client, textOf } = await world();
    const stores = Promise.withResolvers<undefined>();
    let flushes = 0;
    const shared = new SharedDocument(() => {
      const open = openDocument(client.entity('page'), 'p1');
      const flush = open.flush.bind(open);
      open.flush = async () => {
        flushes += 1;
        await stores.promise;
        await flush();
      };
      return open;
    });
    const first = show(shared);
    await until(() => shared.snapshot().state === 'open');
    const { doc } = shared.snapshot();
    type(shared.snapshot(), 'a');
    first.stop();
    await until(() => flushes === 1);
    const second = show(shared);
    stores.resolve(undefined);
    await until(() => textOf('p1') === 'atext of p1');
    expect(shared.snapshot()).toMatchObject({ state: 'open' });
    expect(shared.snapshot().doc === doc).toBe(true);
    second.stop();
  });

  it('is closed when its only component goes before it was read', async () => {
    const { client } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    show(shared).stop();
    await until(() => shared.snapshot().docKey === '');
    expect(shared.snapshot()).toMatchObject({ state: 'loading', doc: null });
  });

  it('is another one, with another key, after a new epoch', async () => {
    const { client, server } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    const before = shared.snapshot();
    server.change('page', 'p1', { title: 'anew', epoch: 2 });
    await until(() => shared.snapshot().replaced !== null);
    const { doc, docKey, replaced } = shared.snapshot();
    expect([replaced?.reason, replaced?.previous === before.doc, replaced?.doc === doc]).toEqual([
      ...['new_epoch', true, true],
    ]);
    expect(docKey).not.toBe(before.docKey);
    expect([textIn(doc), textIn(before.doc)]).toEqual(['', 'text of p1']);
    stop();
  });

  it('is absent once it was taken away or deleted, and comes back as another one', async () => {
    const { client, server } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    server.withdraw('u', SCOPE);
    await until(() => shared.snapshot().state === 'absent');
    server.grant('u', SCOPE);
    await until(() => shared.snapshot().state === 'open');
    expect(shared.snapshot().replaced?.reason).toBe('returned');
    expect(textIn(shared.snapshot().doc)).toBe('text of p1');
    server.change('page', 'p1', null);
    await until(() => shared.snapshot().state === 'absent');
    stop();
  });

  it('is absent once its device was revoked, and stores nothing that is typed then', async () => {
    const { client, server, textOf } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    server.revokeDevice('phone');
    await until(() => shared.snapshot().state === 'absent');
    type(shared.snapshot(), 'too late; ');
    await shared.flush();
    expect(shared.snapshot()).toMatchObject({ state: 'absent', isPending: false });
    expect(textOf('p1')).toBe('text of p1');
    stop();
  });

  it('lets go of its doc with the end of its client', async () => {
    const { client } = await world();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().state === 'open');
    await client.close();
    expect(shared.snapshot()).toMatchObject({ state: 'loading', doc: null, problem: { code: 'closed' } });
    stop();
  });

  it('says why it cannot be read', async () => {
    const { client } = await world();
    await client.close();
    const shared = sharedDocument(client, 'page', 'p1');
    const { stop } = show(shared);
    await until(() => shared.snapshot().problem !== null);
    expect(shared.snapshot()).toMatchObject({ state: 'loading', problem: { code: 'closed' } });
    stop();
  });
});
