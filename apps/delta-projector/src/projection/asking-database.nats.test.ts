import { afterEach, describe, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import { Database } from '@sync/postgres';
import { subjects, type SnapshotRequest } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { domainEvent, incoming, REGISTRATIONS, type EventDraft } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { RunningProjector } from '../testing/running-projector.ts';
import { AnswersMissing } from './answers.ts';
import { ConsumeDomainEvents, type Consumed } from './consume-domain-events.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const SUBJECT = `projector.${Math.random().toString(36).slice(2)}`;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const page = (revision: number, body: string): EventDraft => {
  return { type: 'document', id: 'd1', revision, data: { courseId: 'c1', title: 'T', body } };
};
const increment = (revision: number): EventDraft => {
  return { ...page(revision, 'BBBB'), more: { docstate: 'increment' } };
};

/** A projector of the usual types and of one that others project. */
async function rigWithCharts(): Promise<ProjectorRig> {
  const rig = await ProjectorRig.open([
    ...REGISTRATIONS,
    {
      ...{ service: 'learning', entityType: 'chart', schemaVersion: 1, policy: 'server_authoritative' },
      projection: { kind: 'remote', subject: SUBJECT },
    },
  ]);
  closing.push(() => rig.close());
  return rig;
}

/** How many transactions of others wait for their next statement at this moment. */
async function openTransactions(database: Pick<Database, 'call'>): Promise<number> {
  const [row] = await database.call<{ open: number }>(
    'open_transactions',
    `SELECT count(*)::int4 AS open FROM pg_stat_activity
     WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
    [],
  );
  return row?.open ?? NaN;
}

describe('while others are asked', () => {
  it('nothing is locked: heads, leases and watermarks of the batch are free for everybody', async () => {
    const running = await RunningProjector.open();
    closing.push(() => running.close());
    const { database } = running.test;
    const { promise: released, resolve: release } = Promise.withResolvers<unknown>();
    const { promise: seenWhileAsked, resolve: saw } = Promise.withResolvers<unknown>();
    const handle = async (body: unknown): Promise<unknown> => {
      if ((body as SnapshotRequest).entities === undefined) return { entities: [], next: null };
      const locking = database.inTenant('t1', async (tx) => {
        const heads = await tx.query('SELECT revision FROM entity_head FOR UPDATE NOWAIT');
        const watermarks = await tx.query(
          'SELECT DISTINCT consumer FROM (SELECT * FROM sync_inbox FOR UPDATE NOWAIT) i',
        );
        await tx.query('SELECT FROM sync_lease FOR UPDATE NOWAIT');
        return { heads, watermarks };
      });
      saw(await locking.catch((error: unknown) => error));
      await released;
      const { data } = page(4, 'ABCD');
      const clock = { 's:learning': 4 };
      return {
        entities: [{ tenantId: 't1', entityId: 'd1', revision: 4, clock, data, deleted: false }],
        next: null,
      };
    };
    const subject = subjects.snapshot('learning', 'document');
    const owner = new Responder({ nats: running.connection, subject, queue: 'test', logger, handle });
    running.onClose(() => owner.stop());
    running.answerList();
    await running.startWorker();
    await running.publish(domainEvent(page(1, 'AAAA')));
    await running.until('the page is there', async () => (await running.revisions('document'))['d1'] === 1);
    await running.publish(domainEvent(increment(4)));
    expect(await seenWhileAsked).toEqual({
      heads: [{ revision: '1' }],
      watermarks: [{ consumer: 'delta-projector' }],
    });
    release(null);
    await running.until(
      'the whole page is there',
      async () => (await running.revisions('document'))['d1'] === 4,
    );
    expect((await running.deltas()).map(({ revision }) => revision)).toEqual([1, 4]);
  });

  it('no transaction is open, whoever is asked: a remote projector, or the gateway for its types', async () => {
    const rig = await rigWithCharts();
    const seen: [string, number][] = [];
    const handle = async (): Promise<unknown> => {
      seen.push(['remote', await openTransactions(rig.test.database)]);
      return { entities: [{ data: {}, scopes: ['user:u1'] }] };
    };
    const remote = new Responder({ nats: rig.nats, subject: SUBJECT, queue: 'test', logger, handle });
    closing.push(() => remote.stop());
    rig.types.lookFor = async () => {
      seen.push(['types', await openTransactions(rig.test.database)]);
    };
    const events = incoming(
      { type: 'chart', id: 'x', revision: 1, data: {} },
      { type: 'unheard-of', id: 'y', revision: 1, data: {} },
    );
    const outcomes = await rig.asking.transaction(async (tx) => {
      // As a consumer does, which has a watermark to advance.
      await tx.query('SELECT 1');
      return rig.projectIn(tx, events);
    });
    expect(outcomes).toMatchObject([{ kind: 'changed' }, { kind: 'refused', code: 'entity_type_unknown' }]);
    expect(seen).toEqual([
      ['types', 0],
      ['remote', 0],
    ]);
  });
});

it('asks once for all events that are projected one by one, behind one that Postgres refuses', async () => {
  const rig = await rigWithCharts();
  let asked = 0;
  const handle = async (body: unknown): Promise<unknown> => {
    asked += 1;
    const { entities } = body as { readonly entities: readonly unknown[] };
    return { entities: entities.map(() => ({ data: {}, scopes: ['user:u1'] })) };
  };
  const remote = new Responder({ nats: rig.nats, subject: SUBJECT, queue: 'test', logger, handle });
  closing.push(() => remote.stop());
  const owner = await Database.connect({ url: rig.test.ownerUrl, applicationName: 'owner', poolSize: 1 });
  await owner.call('check', 'ALTER TABLE entity_head ADD CHECK (revision < 1000000)', []);
  await owner.close();
  const ids = Array.from({ length: 80 }, (_, at) => `c${at}`);
  const events = [
    domainEvent({ type: 'chart', id: 'odd', revision: 2_000_000, data: {} }),
    ...ids.map((id) => domainEvent({ type: 'chart', id, revision: 1, data: {} })),
  ];
  const messages = [{ number: 1, subject: '', payload: JSON.stringify(events) }];
  const batch = { stream: 'DOMAIN_EVENTS', partition: 0, producer: 'learning', epoch: 'e', messages };
  const consume = new ConsumeDomainEvents(rig.projection, rig.metrics, logger);
  const consumeIt = (): Promise<Consumed> => rig.asking.transaction((tx) => consume.handle(tx, [batch]));
  await expect(consumeIt()).rejects.toMatchObject({ code: '23514' });
  const { outcomes } = await consumeIt();
  expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', ...ids.map(() => 'changed')]);
  expect(asked).toBe(2);
});

it('goes on without answers where every attempt needs another one', async () => {
  const rig = await ProjectorRig.open();
  closing.push(() => rig.close());
  let attempts = 0;
  const answer = await rig.asking.transaction(async (tx) => {
    attempts += 1;
    const type = `type-${attempts}`;
    if (!rig.asking.answersOf(tx).hasLookedFor(type))
      throw new AnswersMissing({ kind: 'types', types: new Set([type]) });
    return 'done';
  });
  expect(answer).toBe('done');
  expect(attempts).toBe(65);
});
