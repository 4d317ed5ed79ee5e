import { randomUUID } from 'node:crypto';
import { DocumentPool } from '@sync/documents/node';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { DomainEvent, OwnerPushResult, PushedMutation } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import * as Y from 'yjs';
import {
  accept,
  defineEntity,
  jsonEntityStore,
  jsonEntityTableSql,
  ownerMigrations,
  reject,
  type EntityData,
  type EntityDefinition,
} from '../../index.ts';
import { changeEntities, lockEntities } from '../../change-entities.ts';
import { answerPush, type PushContext } from '../../push/answer-push.ts';
import { KeptDocuments, documentMigrations, type DocumentKey, type KeepDocumentsOptions } from '../index.ts';

export const TENANT = 'acme';

class PageTable1700000000900 {
  readonly name = 'PageTable1700000000900';

  async up(runner: { query(text: string): Promise<unknown> }): Promise<void> {
    await runner.query(jsonEntityTableSql('page'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

/** What the owner has of a page. */
export interface PageNow {
  readonly revision: number;
  readonly clock: VectorClock;
  readonly text: string;
  readonly body: string;
  readonly epoch: number;
}

const quiet = (): void => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A service with pages, whose documents it keeps in a database of its own. */
export class PageRig {
  readonly #test: TestDatabase;
  readonly #pool = new DocumentPool();
  readonly #context: PushContext;
  readonly kept: KeptDocuments;
  readonly definition: EntityDefinition;

  private constructor(test: TestDatabase) {
    this.#test = test;
    this.kept = this.keep({});
    this.definition = this.#define(this.kept);
    const definitions = new Map([['page', this.definition]]);
    const { database } = test;
    this.#context = { service: 'wiki', database, definitions, logger, now: () => new Date() };
  }

  static async start(name: string): Promise<PageRig> {
    const migrations = [...ownerMigrations, ...documentMigrations, PageTable1700000000900];
    return new PageRig(await createTestDatabase({ postgres: await startPostgres(), name, migrations }));
  }

  async stop(): Promise<void> {
    await this.#pool.close();
    await this.#test.drop();
  }

  keep(options: Partial<KeepDocumentsOptions>): KeptDocuments {
    return new KeptDocuments({ field: 'body', logger, pool: this.#pool, ...options });
  }

  #define(kept: KeptDocuments): EntityDefinition {
    return kept.define(
      defineEntity({
        entityType: 'page',
        schemaVersion: 1,
        policy: 'crdt_yjs',
        projection: {
          kind: 'declarative',
          fields: ['title', 'epoch'],
          scopes: ['user:u1'],
          docUpdateField: 'body',
        },
        ...jsonEntityStore('page'),
        handle(mutation, current) {
          if (mutation.op === 'delete') return accept(null);
          if (mutation.op === 'merge')
            return current ? accept(current) : reject('page_unknown', 'no such page');
          return accept({ ...current, ...mutation.data });
        },
      }),
    );
  }

  /** @param options of documents that are kept otherwise than usual */
  push(
    mutations: readonly PushedMutation[],
    options?: Partial<KeepDocumentsOptions>,
  ): Promise<OwnerPushResult[]> {
    const definition = options ? this.#define(this.keep(options)) : this.definition;
    return answerPush(this.#context, definition, { tenantId: TENANT, mutations: [...mutations] });
  }

  rows<T>(text: string, values: unknown[]): Promise<T[]> {
    return this.#test.database.inTenant(TENANT, (tx) => tx.query<T>(text, values));
  }

  restoreChange(entityId: string, to: Parameters<KeptDocuments['restoreChange']>[2]): Promise<string | null> {
    return this.#test.database.inTenant(TENANT, (tx) => this.kept.restoreChange(tx, keyOf(entityId), to));
  }

  async pageNow(entityId: string): Promise<PageNow> {
    return this.#test.database.inTenant(TENANT, async (tx) => {
      const data = (await lockEntities(tx, this.#context, TENANT, 'page', [entityId])).get(entityId);
      const [row] = await tx.query<{ revision: string; clock: VectorClock }>(
        'SELECT revision, clock FROM sync_entity WHERE entity_id = $1',
        [entityId],
      );
      if (!row) throw new Error(`no page ${entityId}`);
      const body = typeof data?.['body'] === 'string' ? data['body'] : '';
      const doc = new Y.Doc();
      if (body !== '') Y.applyUpdate(doc, Buffer.from(body, 'base64'));
      const text = doc.getText('body').toJSON();
      return { revision: Number(row.revision), clock: row.clock, text, body, epoch: Number(data?.['epoch']) };
    });
  }

  /** The service itself creates or changes a page. */
  async change(entityId: string, data: EntityData | null): Promise<void> {
    await this.#test.database.inTenant(TENANT, (tx) =>
      changeEntities(tx, this.#context, TENANT, [{ entityType: 'page', entityId, data }], {
        nowIso: new Date().toISOString(),
      }),
    );
  }

  async seededPage(text: string): Promise<string> {
    const entityId = randomUUID();
    await this.change(entityId, { title: 'Page', body: updateOf(text) });
    return entityId;
  }

  async eventsOf(entityId: string): Promise<DomainEvent[]> {
    const outbox = await this.rows<{ payload: string }>('SELECT payload FROM sync_outbox ORDER BY id', []);
    const events = outbox.flatMap(({ payload }) => JSON.parse(payload) as DomainEvent[]);
    return events.filter((event) => event.entityid === entityId);
  }
}

const keyOf = (entityId: string): DocumentKey => ({ tenantId: TENANT, entityType: 'page', entityId });

/** A text as an update, base64. */
export const updateOf = (text: string, clientId = 2 ** 32 + 1): string => {
  const doc = new Y.Doc();
  doc.clientID = clientId;
  doc.getText('body').insert(0, text);
  return Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64');
};

export const codesOf = (results: readonly OwnerPushResult[]): string[] =>
  results.map((result) => (result.status === 'rejected' ? result.code : result.status));
