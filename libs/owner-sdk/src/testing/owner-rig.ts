import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, ensureStreams, request } from '@sync/messaging';
import { startNats } from '@sync/messaging/testing';
import type { MigrationClass } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import {
  STREAMS,
  subjects,
  type DomainEvent,
  type OwnerPushReply,
  type OwnerPushRequest,
  type OwnerPushResult,
  type PushedMutation,
} from '@sync/protocol';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import {
  accept,
  defineEntity,
  jsonEntityStore,
  jsonEntityTableSql,
  mutatedData,
  ownerMigrations,
  reject,
  startOwner,
  type EntityDefinition,
  type Owner,
  type OwnerLogger,
} from '../index.ts';

/** An entity that costs its database more than anybody waits for. */
const SLOW = `
CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER take_long BEFORE INSERT OR UPDATE ON note FOR EACH ROW
  WHEN (NEW.data ->> 'text' = 'takes a minute') EXECUTE FUNCTION take_long();`;

class Tables1700000000200 implements MigrationInterface {
  readonly name = 'Tables1700000000200';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of ['note', 'statement', 'badge']) await runner.query(jsonEntityTableSql(table));
    // A rule of the database that no handler knows: what a service's store can trip over.
    await runner.query(`ALTER TABLE note ADD CHECK (data ->> 'text' <> 'refused by the table')`);
    await runner.query(SLOW);
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

const projection: EntityDefinition['projection'] = {
  kind: 'declarative',
  fields: '*',
  scopes: ['user:{userId}'],
};

/** Notes are lww; text `boom` makes the handler throw, a `done` note earns its user a badge. */
const note = defineEntity({
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  projection,
  ...jsonEntityStore('note'),
  handle(mutation, current, { userId, nowIso }) {
    const data = mutatedData(mutation, current);
    if (data === null) return accept(null);
    if (data['text'] === 'boom') throw new Error('the handler is broken');
    if (typeof data['text'] !== 'string') return reject('data_invalid', '/text must be a string');
    if (data['done'] !== true) return accept(data);
    const badge = { userId, at: nowIso };
    return accept(data, {
      also: [{ entityType: 'badge', entityId: `badge-${userId}`, data: badge, ifAbsent: true }],
    });
  },
});

const statement = defineEntity({
  entityType: 'statement',
  schemaVersion: 1,
  policy: 'append_only',
  projection,
  ...jsonEntityStore('statement'),
  handle: (mutation, _current, { nowIso }) => accept({ ...mutation.data, stored: nowIso }),
});

const badge = defineEntity({
  entityType: 'badge',
  schemaVersion: 3,
  policy: 'server_authoritative',
  projection,
  ...jsonEntityStore('badge'),
  handle: () => reject('forbidden', 'badges are given by the service'),
});

/** Keeps errors, so that tests can see that something was logged and not swallowed. */
export interface CapturedLog extends OwnerLogger {
  readonly errors: { readonly fields: object; readonly message: string }[];
}

function captureLog(): CapturedLog {
  const errors: { fields: object; message: string }[] = [];
  const ignore = (): void => undefined;
  return {
    errors,
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields, message) => errors.push({ fields, message }),
  };
}

/** A running owner of notes, statements and badges with a database of its own. */
export interface OwnerRig {
  readonly service: string;
  readonly test: TestDatabase;
  readonly nats: NatsConnection;
  readonly log: CapturedLog;
  readonly definitions: { readonly note: EntityDefinition; readonly statement: EntityDefinition };
  owner(): Owner;
  /** Stops the owner and starts another on the same database, as a restart of the process does. */
  restart(): Promise<void>;
  push(
    tenantId: string,
    mutations: readonly PushedMutation[],
    more?: Pick<OwnerPushRequest, 'shared'>,
  ): Promise<OwnerPushResult[]>;
  /** Events in the outbox, in writing order, as they were sent. */
  events(): Promise<DomainEvent[]>;
  stop(): Promise<void>;
}

export async function startOwnerRig(): Promise<OwnerRig> {
  const [postgres, server] = await Promise.all([startPostgres(), startNats()]);
  const migrations: MigrationClass[] = [...ownerMigrations, Tables1700000000200];
  const test = await createTestDatabase({ postgres, name: 'owner', migrations });
  const nats = await connectNats({ url: server.url, name: 'owner-sdk-test' });
  await ensureStreams(nats, [STREAMS.DOMAIN_EVENTS]);
  const service = `owner-${randomUUID().slice(0, 8)}`;
  const log = captureLog();
  const start = (): Owner =>
    startOwner({ service, database: test.database, nats, entities: [note, statement, badge], logger: log });
  let owner = start();
  return {
    service,
    test,
    nats,
    log,
    definitions: { note, statement },
    owner: () => owner,
    async restart() {
      await owner.stop();
      owner = start();
    },
    async push(tenantId, mutations, more = {}) {
      const entityType = mutations[0]?.entityType ?? '';
      const body = { tenantId, mutations, ...more };
      const reply = await request<OwnerPushReply>(nats, subjects.push(service, entityType), body, {
        timeoutMs: 10_000,
      });
      return reply.results;
    },
    async events() {
      const rows = await test.database.call<{ payload: string }>(
        'test_events',
        'SELECT payload FROM sync_outbox ORDER BY id',
        [],
      );
      return rows.flatMap((row) => JSON.parse(row.payload) as DomainEvent[]);
    },
    async stop() {
      await owner.stop();
      await nats.drain();
      await test.drop();
    },
  };
}

/** A mutation of a note by device `d1` of `u1`, with what a test says otherwise. */
export function mutationOf(given: Partial<PushedMutation> = {}): PushedMutation {
  const entityType = given.entityType ?? 'note';
  return {
    mutationId: randomUUID(),
    userId: 'u1',
    deviceId: 'd1',
    scope: 'user:u1',
    entityType,
    entityId: randomUUID(),
    op: entityType === 'statement' ? 'append' : 'put',
    data: { userId: 'u1', text: 'hello' },
    clock: { 'd:d1': 1 },
    expectedRevision: 0,
    occurredAt: '2026-03-01T10:00:00.000Z',
    schemaVersion: 1,
    ...given,
  };
}
