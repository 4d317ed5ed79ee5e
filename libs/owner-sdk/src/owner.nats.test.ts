import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Responder } from '@sync/messaging';
import { STREAMS, SyncRegistration, subjects, validator, type DomainEvent } from '@sync/protocol';
import { inboxPruning } from './inbox-pruning.ts';
import {
  InvalidChangeError,
  RegistrationFaultError,
  defineEntity,
  jsonEntityStore,
  accept,
  startOwner,
} from './index.ts';
import { mutationOf, startOwnerRig, type OwnerRig } from './testing/owner-rig.ts';

let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
});
afterAll(() => rig.stop());

const changeNotes = (tenantId: string, texts: Readonly<Record<string, string | null>>): Promise<unknown> =>
  rig.test.database.inTenant(tenantId, (tx) =>
    rig.owner().change(
      tx,
      tenantId,
      Object.entries(texts).map(([entityId, text]) => ({
        entityType: 'note',
        entityId,
        data: text === null ? null : { userId: 'u1', text },
      })),
    ),
  );

describe('own changes', () => {
  it('raise revision and the service’s counter, write the row and the event', async () => {
    const entityId = randomUUID();
    expect(await changeNotes('alpha', { [entityId]: 'one' })).toEqual([
      { entityType: 'note', entityId, revision: 1 },
    ]);
    await rig.push('alpha', [
      mutationOf({ entityId, expectedRevision: 1, data: { userId: 'u1', text: 'two' } }),
    ]);
    await changeNotes('alpha', { [entityId]: 'three' });
    await changeNotes('alpha', { [entityId]: null });
    const events = (await rig.events()).filter((event) => event.entityid === entityId);
    expect(events.map((event) => [event.revision, event.entityclock, event.data?.['text'] ?? null])).toEqual([
      [1, `{"s:${rig.service}":1}`, 'one'],
      [2, `{"d:d1":1,"s:${rig.service}":1}`, 'two'],
      [3, `{"d:d1":1,"s:${rig.service}":2}`, 'three'],
      [4, `{"d:d1":1,"s:${rig.service}":3}`, null],
    ]);
    const rows = await rig.test.database.inTenant('alpha', (tx) =>
      tx.query('SELECT FROM note WHERE entity_id = $1', [entityId]),
    );
    expect(rows).toEqual([]);
  });

  it('leave nothing behind when the service’s transaction rolls back', async () => {
    const entityId = randomUUID();
    const before = (await rig.events()).length;
    await expect(
      rig.test.database.inTenant('alpha', async (tx) => {
        await rig.owner().change(tx, 'alpha', [{ entityType: 'note', entityId, data: { text: 'gone' } }]);
        throw new Error('the service changed its mind');
      }),
    ).rejects.toThrow('changed its mind');
    expect(await rig.events()).toHaveLength(before);
    const [answer] = await rig.push('alpha', [mutationOf({ entityId })]);
    expect(answer).toMatchObject({ status: 'applied', revision: 1 });
  });

  it('announce an entity whose row the service wrote itself', async () => {
    const entityId = randomUUID();
    const data = { userId: 'u1', text: 'mine' };
    await rig.test.database.inTenant('alpha', async (tx) => {
      await tx.query(`INSERT INTO note VALUES ('alpha', $1, $2)`, [
        entityId,
        { ...data, hidden: 'not shown' },
      ]);
      await rig.owner().announce(tx, 'alpha', [{ entityType: 'note', entityId, data }]);
    });
    const rows = await rig.test.database.inTenant('alpha', (tx) =>
      tx.query('SELECT data FROM note WHERE entity_id = $1', [entityId]),
    );
    expect(rows).toEqual([{ data: { ...data, hidden: 'not shown' } }]);
    expect((await rig.events()).find((event) => event.entityid === entityId)?.data).toEqual(data);
  });

  it.each([
    ['an undefined entity type', { entityType: 'ghost', entityId: 'g1', data: {} }],
    ['an id with a separator', { entityType: 'note', entityId: 'a/b', data: {} }],
    ['a NUL character', { entityType: 'note', entityId: 'n1', data: { text: '\0' } }],
    [
      'more than a message carries',
      { entityType: 'note', entityId: 'n1', data: { text: 'x'.repeat(800_000) } },
    ],
  ])('refuse %s before anything is written', async (_what, change) => {
    await expect(
      rig.test.database.inTenant('alpha', (tx) => rig.owner().change(tx, 'alpha', [change])),
    ).rejects.toThrow(InvalidChangeError);
  });

  it('of 500 entities are cut into messages that keep each entity’s order', async () => {
    const texts = Object.fromEntries(Array.from({ length: 500 }, () => [randomUUID(), 'x'.repeat(3_000)]));
    await changeNotes('bulk', texts);
    await changeNotes('bulk', texts);
    const rows = await rig.test.database.call<{ payload: string }>(
      'test_bulk',
      `SELECT payload FROM sync_outbox WHERE payload LIKE '%"tenantid":"bulk"%' ORDER BY id`,
      [],
    );
    const batches = rows.map(({ payload }) => JSON.parse(payload) as DomainEvent[]);
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(200);
    expect(Math.max(...rows.map(({ payload }) => Buffer.byteLength(payload)))).toBeLessThanOrEqual(524_288);
    const revisions = Map.groupBy(batches.flat(), (event) => event.entityid);
    expect([...revisions.values()].map((events) => events.map(({ revision }) => revision))).toEqual(
      Object.keys(texts).map(() => [1, 2]),
    );
  });
});

describe('events', () => {
  it('reach the stream with the subject of their partition', async () => {
    const mutation = mutationOf();
    await rig.push('alpha', [mutation]);
    const manager = await jetstreamManager(rig.nats);
    const stream = STREAMS.DOMAIN_EVENTS;
    const consumer = await jetstream(rig.nats).consumers.get(stream.name, {
      filter_subjects: `${stream.subjectPrefix}.*.${rig.service}`,
    });
    const messages = await consumer.consume();
    for await (const message of messages) {
      const events = message.json<DomainEvent[]>();
      if (events.some((event) => event.mutationid === mutation.mutationId)) break;
    }
    expect((await manager.streams.info(stream.name)).state.messages).toBeGreaterThan(0);
  });
});

describe('registration', () => {
  it('is repeated until the gateway accepts, and is a valid SyncRegistration', async () => {
    const seen: unknown[] = [];
    const gateway = new Responder({
      nats: rig.nats,
      subject: subjects.registerAs(rig.service),
      queue: 'test-gateway',
      logger: rig.log,
      handle: async (body) => {
        seen.push(body);
        // The first answer is a refusal: what a gateway that is still migrating gives.
        if (seen.length === 1) throw Object.assign(new Error('not yet'), { code: 'unavailable' });
        return { registered: ['note', 'statement', 'badge'] };
      },
    });
    const { promise: accepted, resolve } = Promise.withResolvers<true>();
    const second = startOwner({
      service: rig.service,
      database: rig.test.database,
      nats: rig.nats,
      entities: [rig.definitions.note, rig.definitions.statement],
      logger: rig.log,
      metrics: {
        pushed: () => undefined,
        registered: (yes) => {
          if (yes) resolve(true);
        },
      },
    });
    await accepted;
    await second.stop();
    await gateway.stop();
    expect(seen.length).toBeGreaterThanOrEqual(2);
    const checked = validator(SyncRegistration)(seen.at(-1));
    expect(checked).toMatchObject({ ok: true, value: { service: rig.service } });
  });

  it('fails at start when the definitions contradict the schema', () => {
    const bad = defineEntity({
      entityType: 'bad',
      schemaVersion: 0,
      policy: 'lww',
      projection: { kind: 'declarative', fields: '*', scopes: [] },
      ...jsonEntityStore('note'),
      handle: () => accept(null),
    });
    const start = (): unknown =>
      startOwner({
        service: rig.service,
        database: rig.test.database,
        nats: rig.nats,
        entities: [bad],
        logger: rig.log,
      });
    expect(start).toThrow(RegistrationFaultError);
    expect(start).toThrow(/schemaVersion/);
  });
});

describe('the inbox', () => {
  it('forgets answers past retention and keeps the others', async () => {
    const [old, recent] = [mutationOf(), mutationOf()];
    await rig.push('alpha', [old, recent]);
    await rig.test.database.inTenant('alpha', (tx) =>
      tx.query(`UPDATE sync_mutation_inbox SET at = now() - interval '91 days' WHERE mutation_id = $1`, [
        old.mutationId,
      ]),
    );
    expect(await inboxPruning(rig.test.database, rig.log, 90).prune()).toBe(1);
    const left = await rig.test.database.inTenant('alpha', (tx) =>
      tx.query('SELECT mutation_id FROM sync_mutation_inbox WHERE mutation_id = ANY ($1::uuid[])', [
        [old.mutationId, recent.mutationId],
      ]),
    );
    expect(left).toEqual([{ mutation_id: recent.mutationId }]);
  });
});
