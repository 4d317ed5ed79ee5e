import { randomUUID } from 'node:crypto';
import { authorKindOf } from '@sync/documents';
import { DocumentPool } from '@sync/documents/node';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import * as Y from 'yjs';
import { changeEntities, lockEntities } from '../change-entities.ts';
import { accept, defineEntity, jsonEntityStore, jsonEntityTableSql, ownerMigrations } from '../index.ts';
import { answerPush, type PushContext } from '../push/answer-push.ts';
import { documentMigrations, KeptDocuments } from './index.ts';

const TENANT = 'acme';
const quiet = (): void => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const nowIso = '2026-03-01T10:00:00.000Z';

class PageTable1700000000900 {
  readonly name = 'PageTable1700000000900';

  async up(runner: { query(text: string): Promise<unknown> }): Promise<void> {
    await runner.query(jsonEntityTableSql('page'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

let test: TestDatabase;
const pool = new DocumentPool();
const definition = new KeptDocuments({ field: 'body', logger, pool }).define(
  defineEntity({
    entityType: 'page',
    schemaVersion: 1,
    policy: 'crdt_yjs',
    projection: { kind: 'declarative', fields: ['epoch'], scopes: ['user:u1'], docUpdateField: 'body' },
    ...jsonEntityStore('page'),
    handle: (_mutation, current) => accept({ ...current }),
  }),
);
let context: PushContext;

beforeAll(async () => {
  const migrations = [...ownerMigrations, ...documentMigrations, PageTable1700000000900];
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'accepted', migrations });
  const definitions = new Map([['page', definition]]);
  context = { service: 'wiki', database: test.database, definitions, logger, now: () => new Date() };
});
afterAll(async () => {
  await pool.close();
  await test.drop();
});

const rows = <T>(text: string, entityId: string): Promise<T[]> =>
  test.database.inTenant(TENANT, (tx) => tx.query<T>(text, [entityId]));

/** A page that the service wrote. @returns its id */
async function page(text: string): Promise<string> {
  const entityId = randomUUID();
  const body = toBase64(write(new Y.Doc(), 2 ** 32 + 1, (doc) => doc.getText('body').insert(0, text)));
  await test.database.inTenant(TENANT, (tx) =>
    changeEntities(tx, context, TENANT, [{ entityType: 'page', entityId, data: { body } }], { nowIso }),
  );
  return entityId;
}

async function copyOf(entityId: string): Promise<Y.Doc> {
  const data = await test.database.inTenant(TENANT, (tx) =>
    lockEntities(tx, context, TENANT, 'page', [entityId]),
  );
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Buffer.from(String(data.get(entityId)?.['body']), 'base64'));
  return doc;
}

const textOf = async (entityId: string): Promise<string> => (await copyOf(entityId)).getText('body').toJSON();

/** An edit under a clientID. @returns what it added */
function write(doc: Y.Doc, clientId: number, edit: (doc: Y.Doc) => void): Uint8Array {
  const known = Y.encodeStateVector(doc);
  doc.clientID = clientId;
  edit(doc);
  return Y.encodeStateAsUpdate(doc, known);
}

const toBase64 = (update: Uint8Array): string => Buffer.from(update).toString('base64');

function replace(from: string, to: string): (doc: Y.Doc) => void {
  return (doc) => {
    const at = doc.getText('body').toJSON().indexOf(from);
    doc.getText('body').delete(at, from.length);
    doc.getText('body').insert(at, to);
  };
}

/**
 * Sends one change of the page as it is now; `dot` is the device's counter, none for what a resolver sends.
 */
async function push(
  entityId: string,
  change: Pick<PushedMutation, 'update' | 'suggestion'>,
  { deviceId, dot }: { readonly deviceId: string; readonly dot?: number },
): Promise<OwnerPushResult | undefined> {
  const [now] = await rows<{ revision: string; clock: VectorClock }>(
    'SELECT revision, clock FROM sync_entity WHERE entity_id = $1',
    entityId,
  );
  const clock = { ...now?.clock, ...(dot === undefined ? {} : { [`d:${deviceId}`]: dot }) };
  const mutation: PushedMutation = {
    ...{ mutationId: randomUUID(), userId: `user-${deviceId}`, deviceId, scope: 'user:u1' },
    ...{ entityType: 'page', entityId, op: 'merge', data: null, ...change, clock },
    ...{ expectedRevision: Number(now?.revision), occurredAt: nowIso, schemaVersion: 1 },
  };
  const results = await answerPush(context, definition, { tenantId: TENANT, mutations: [mutation] });
  return results[0];
}

const acceptWords = (
  entityId: string,
  ...edits: NonNullable<PushedMutation['suggestion']>['edits']
): ReturnType<typeof push> =>
  push(entityId, { suggestion: { suggestionId: 's1', edits } }, { deviceId: 'person' });

/** Who has written in a page, by the range of their clientIDs and by name. */
async function authorsOf(entityId: string): Promise<string[]> {
  const clients = await rows<{ client: string; owner: string }>(
    'SELECT client_id AS client, owner FROM sync_document_client WHERE entity_id = $1',
    entityId,
  );
  return clients.map(({ client, owner }) => `${authorKindOf(Number(client))} ${owner}`).toSorted();
}

describe('an accepted suggestion', () => {
  it('is written under a clientID that shows for ever that a model wrote it', async () => {
    const entityId = await page('Aspirin\nTake 5 mg.\n');
    const [first, second] = [await copyOf(entityId), await copyOf(entityId)];
    const edits = [write(first, 11, replace('5', '10')), write(second, 12, replace('5', '20'))];
    await push(entityId, { update: toBase64(edits[0] as Uint8Array) }, { deviceId: 'a', dot: 1 });
    await push(entityId, { update: toBase64(edits[1] as Uint8Array) }, { deviceId: 'b', dot: 1 });
    const was = (await textOf(entityId)).split('\n')[1] ?? '';
    expect(was).toMatch(/^Take (1020|2010) mg.$/);
    const edit = { path: 'body', was, text: 'Take 20 mg.' };
    expect(await acceptWords(entityId, edit)).toMatchObject({ status: 'applied', clock: { 's:wiki': 2 } });
    expect(await textOf(entityId)).toBe('Aspirin\nTake 20 mg.\n');
    const logged = await rows<object>(
      'SELECT replica, counter FROM sync_document_update WHERE entity_id = $1 ORDER BY sequence DESC LIMIT 1',
      entityId,
    );
    expect(logged).toEqual([{ replica: 's:wiki', counter: '2' }]);
    // A device writes on from it: what a model wrote can still be told.
    const more = write(await copyOf(entityId), 13, (doc) => doc.getText('body').insert(0, 'x'));
    await push(entityId, { update: toBase64(more) }, { deviceId: 'a', dot: 2 });
    expect(await authorsOf(entityId)).toEqual([
      ...['device user-a', 'device user-a', 'device user-b'],
      ...['server service', 'suggestion suggestion'],
    ]);
  });

  it('changes nothing when what it was made for is not there any more', async () => {
    const entityId = await page('Aspirin\nTake 5 mg.\n');
    const first = { path: 'body', was: 'Aspirin', text: 'Ibuprofen' };
    const gone = { path: 'body', was: 'Take 6 mg.', text: 'Take 7 mg.' };
    expect(await acceptWords(entityId, first, gone)).toMatchObject({
      status: 'rejected',
      code: 'block_moved',
    });
    expect(await textOf(entityId)).toBe('Aspirin\nTake 5 mg.\n');
    const nowhere = randomUUID();
    expect(await acceptWords(nowhere, first)).not.toMatchObject({ status: 'applied' });
  });

  it('lends its clientIDs to no device: not a new one, and not the one that was used', async () => {
    const entityId = await page('Take 5 mg.\n');
    const device = { deviceId: 'hostile', dot: 1 };
    const forged = write(await copyOf(entityId), 2 ** 33 + 5, replace('5', '50'));
    const refused = { status: 'rejected', code: 'client_id_foreign' };
    expect(await push(entityId, { update: toBase64(forged) }, device)).toMatchObject(refused);
    await acceptWords(entityId, { path: 'body', was: 'Take 5 mg.', text: 'Take 6 mg.' });
    const [used] = await rows<{ client: string }>(
      `SELECT client_id AS client FROM sync_document_client WHERE entity_id = $1 AND owner = 'suggestion'`,
      entityId,
    );
    const more = write(await copyOf(entityId), Number(used?.client), replace('6', '60'));
    expect(await push(entityId, { update: toBase64(more) }, device)).toMatchObject(refused);
    expect(await textOf(entityId)).toBe('Take 6 mg.\n');
  });
});
