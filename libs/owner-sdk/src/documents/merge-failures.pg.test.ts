import { randomUUID } from 'node:crypto';
import { DocumentPool } from '@sync/documents/node';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import * as Y from 'yjs';
import {
  accept,
  defineEntity,
  type EntityDefinition,
  jsonEntityStore,
  jsonEntityTableSql,
  ownerMigrations,
} from '../index.ts';
import { answerPush, type PushContext } from '../push/answer-push.ts';
import { KeptDocuments, documentMigrations } from './index.ts';

const DEPTH = 6;

class TreeTable1700000000900 {
  readonly name = 'TreeTable1700000000900';

  async up(runner: { query(text: string): Promise<unknown> }): Promise<void> {
    await runner.query(jsonEntityTableSql('tree'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

const quiet = (): void => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

let test: TestDatabase;
let pool: DocumentPool;
let definition: EntityDefinition;
let context: PushContext;

beforeAll(async () => {
  const migrations = [...ownerMigrations, ...documentMigrations, TreeTable1700000000900];
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'nested', migrations });
  pool = new DocumentPool();
  definition = defineTree(pool);
  const definitions = new Map([['tree', definition]]);
  context = { service: 'wiki', database: test.database, definitions, logger, now: () => new Date() };
});
afterAll(async () => {
  await pool.close();
  await test.drop();
});

function defineTree(threads: DocumentPool, table = jsonEntityStore('tree')): EntityDefinition {
  const options = { field: 'body', logger, pool: threads, admission: { documentDepth: DEPTH } };
  return new KeptDocuments(options).define(
    defineEntity({
      entityType: 'tree',
      schemaVersion: 1,
      policy: 'crdt_yjs',
      projection: { kind: 'declarative', fields: ['title'], scopes: ['user:u1'], docUpdateField: 'body' },
      ...table,
      handle: (mutation, current) => accept({ ...current, ...mutation.data }),
    }),
  );
}

/** A device that nests one map in the innermost with each step. */
class Nester {
  readonly #entityId = randomUUID();
  readonly #doc = new Y.Doc();
  #counter = 0;
  #inner = this.#doc.getMap<unknown>('root');

  #mutation(change: Partial<PushedMutation>): PushedMutation {
    this.#counter += 1;
    return {
      mutationId: randomUUID(),
      userId: 'u1',
      deviceId: 'd1',
      scope: 'user:u1',
      entityType: 'tree',
      entityId: this.#entityId,
      op: 'merge',
      data: null,
      clock: { 'd:d1': this.#counter },
      baseClock: { 'd:d1': this.#counter - 1 },
      expectedRevision: this.#counter - 1,
      occurredAt: new Date().toISOString(),
      schemaVersion: 1,
      ...change,
    };
  }

  create(): PushedMutation {
    return this.#mutation({ op: 'put', data: { title: 'Tree' } });
  }

  step(): PushedMutation {
    const before = Y.encodeStateVector(this.#doc);
    const next = new Y.Map<unknown>();
    this.#inner.set('in', next);
    this.#inner = next;
    return this.#mutation({
      update: Buffer.from(Y.encodeStateAsUpdate(this.#doc, before)).toString('base64'),
    });
  }
}

const push = (mutations: PushedMutation[], tree = definition): Promise<OwnerPushResult[]> =>
  answerPush(context, tree, { tenantId: 'acme', mutations });

describe('shared types nested step by step', () => {
  it('are refused once they are too deep, though each update is small, and for good', async () => {
    const nester = new Nester();
    await push([nester.create()]);
    for (let depth = 1; depth <= DEPTH; depth += 1) {
      expect(await push([nester.step()])).toMatchObject([{ status: 'applied' }]);
    }
    const tooDeep = nester.step();
    const refused = { status: 'rejected', code: 'content_not_allowed' };
    expect(await push([tooDeep])).toMatchObject([refused]);
    expect(await push([tooDeep])).toMatchObject([refused]);
  });

  it('in one request are taken as far as they may, and harm no other document', async () => {
    const [nester, other] = [new Nester(), new Nester()];
    await push([nester.create(), other.create()]);
    const steps = Array.from({ length: DEPTH + 1 }, () => nester.step());
    const results = await push([...steps, other.step()]);
    expect(results.map(({ status }) => status)).toEqual([
      ...Array.from({ length: DEPTH }, () => 'applied'),
      'rejected',
      'applied',
    ]);
  });
});

describe('a service whose load fails when a refused step is tried again', () => {
  it('leaves that step unanswered, and its batch goes on', async () => {
    const [nester, other] = [new Nester(), new Nester()];
    const create = nester.create();
    await push([create, other.create()]);
    await push(Array.from({ length: DEPTH }, () => nester.step()));
    let loads = 0;
    const table = jsonEntityStore('tree');
    const failing = defineTree(pool, {
      ...table,
      load(tx, tenantId, entityIds) {
        // Once with its batch, once alone; then with its refusal.
        if (entityIds.includes(create.entityId) && (loads += 1) === 3) throw new Error('load is broken');
        return table.load(tx, tenantId, entityIds);
      },
    });
    const [tooDeep, step] = [nester.step(), other.step()];
    const refused = { status: 'rejected', code: 'content_not_allowed' };
    expect(await push([tooDeep, step], failing)).toMatchObject([
      { mutationId: step.mutationId, status: 'applied' },
    ]);
    expect(loads).toBe(3);
    expect(await push([tooDeep], failing)).toMatchObject([refused]);
  });
});

describe('a merge of a document that is not there', () => {
  it('is refused even where the service takes it: nothing of it would be in the new document', async () => {
    const refused = { status: 'rejected', code: 'document_unknown' };
    expect(await push([new Nester().step()])).toMatchObject([refused]);
  });
});

describe('a merge that finds every thread busy', () => {
  it('is answered as overloaded, with nothing done: a silent owner would count as one that fails', async () => {
    const nester = new Nester();
    await push([nester.create()]);
    const step = nester.step();
    const busy = defineTree(new DocumentPool({ queueLimit: 0 }));
    await expect(push([step], busy)).rejects.toMatchObject({ code: 'overloaded' });
    expect(await push([step])).toMatchObject([{ status: 'applied', revision: 2 }]);
  });
});
