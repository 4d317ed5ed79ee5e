import { randomUUID } from 'node:crypto';
import { request } from '@sync/messaging';
import {
  DomainEvent,
  OwnerPushReply,
  subjects,
  validator,
  type OwnerPushResult,
  type PushedMutation,
} from '@sync/protocol';
import type { EntityData } from '../index.ts';
import { mutationOf, startOwnerRig, type OwnerRig } from '../testing/owner-rig.ts';

let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
});
afterAll(() => rig.stop());

const eventsOf = async (entityId: string): Promise<DomainEvent[]> =>
  (await rig.events()).filter((event) => event.entityid === entityId);

/** A chain of `count` mutations of one note, each expecting the revision that the one before makes. */
function chainOf(entityId: string, count: number, from = 0): PushedMutation[] {
  return Array.from({ length: count }, (_, index) =>
    mutationOf({
      entityId,
      op: index === 0 && from === 0 ? 'put' : 'patch',
      data: index === 0 && from === 0 ? { userId: 'u1', text: 'v0' } : { [`f${from + index}`]: index },
      clock: { 'd:d1': from + index + 1 },
      expectedRevision: from + index,
    }),
  );
}

describe('a push', () => {
  it('refuses for good what it is only asked for, and answers what it has applied', async () => {
    const [known, unknown] = [mutationOf(), mutationOf()];
    const [applied] = await rig.push('alpha', [known]);
    const refuse = { code: 'scope_not_held', message: '/scope' };
    const asked = [known, unknown].map((mutation) => ({ ...mutation, refuse }));
    const refused = { mutationId: unknown.mutationId, status: 'rejected', ...refuse };
    expect(await rig.push('alpha', asked)).toEqual([applied, refused]);
    // The first request, which took until now.
    expect(await rig.push('alpha', [unknown])).toEqual([refused]);
    expect(await eventsOf(unknown.entityId)).toEqual([]);
  });

  it('applies a new entity: version, row, event and answer agree', async () => {
    const mutation = mutationOf({ clock: { 'd:d1': 4, 'd:other': 0 } });
    const results = await rig.push('alpha', [mutation]);
    expect(results).toEqual([
      { mutationId: mutation.mutationId, status: 'applied', revision: 1, clock: { 'd:d1': 4 } },
    ]);
    expect(validator(OwnerPushReply)({ results }).ok).toBe(true);
    const rows = await rig.test.database.inTenant('alpha', (tx) =>
      tx.query('SELECT data FROM note WHERE entity_id = $1', [mutation.entityId]),
    );
    expect(rows).toEqual([{ data: { userId: 'u1', text: 'hello' } }]);
    const [event, ...more] = await eventsOf(mutation.entityId);
    expect(more).toEqual([]);
    expect(validator(DomainEvent)(event)).toMatchObject({ ok: true });
    expect(event).toMatchObject({
      specversion: '1.0',
      source: `/services/${rig.service}`,
      type: `${rig.service}.note.changed.v1`,
      tenantid: 'alpha',
      entitytype: 'note',
      revision: 1,
      entityop: 'put',
      schemaversion: 1,
      entityclock: '{"d:d1":4}',
      mutationid: mutation.mutationId,
      mutationclock: '{"d:d1":4}',
      mutationdevice: 'd1',
      mutationtime: mutation.occurredAt,
      data: { userId: 'u1', text: 'hello' },
    });
  });

  it('answers a repetition as the first time, after a restart too, and sends no second event', async () => {
    const applied = mutationOf();
    const refused = mutationOf({ data: { userId: 'u1', text: 7 } });
    const first = await rig.push('alpha', [applied, refused]);
    expect(first.map(({ status }) => status)).toEqual(['applied', 'rejected']);
    expect(await rig.push('alpha', [applied, refused])).toEqual(first);
    await rig.restart();
    // The same id with data that would be accepted now: the stored answer stands.
    const again = { ...refused, data: { userId: 'u1', text: 'fine' } };
    expect(await rig.push('alpha', [again, applied])).toEqual([first[1], first[0]]);
    expect(await eventsOf(applied.entityId)).toHaveLength(1);
    expect(await eventsOf(refused.entityId)).toEqual([]);
  });

  it('answers from the inbox when the reply to the first attempt got lost', async () => {
    const mutation = mutationOf();
    const body = { tenantId: 'alpha', mutations: [mutation] };
    rig.nats.publish(subjects.push(rig.service, 'note'), JSON.stringify(body)); // no reply subject: lost for sure
    const [answer] = await rig.push('alpha', [mutation]);
    expect(answer).toMatchObject({ status: 'applied', revision: 1 });
    expect(await eventsOf(mutation.entityId)).toHaveLength(1);
  });

  it('refuses another revision than expected with the current state, and does not keep that answer', async () => {
    const [first] = chainOf(randomUUID(), 1);
    if (!first) throw new Error('no mutation');
    await rig.push('alpha', [first]);
    const late = mutationOf({
      entityId: first.entityId,
      expectedRevision: 0,
      clock: { 'd:d2': 1 },
      deviceId: 'd2',
      data: { userId: 'u1', text: 'late' },
    });
    expect(await rig.push('alpha', [late])).toEqual([
      {
        mutationId: late.mutationId,
        status: 'conflict',
        current: { revision: 1, clock: { 'd:d1': 1 }, data: { userId: 'u1', text: 'v0' }, deleted: false },
      },
    ]);
    const decided = { ...late, expectedRevision: 1 };
    expect(await rig.push('alpha', [decided])).toEqual([
      { mutationId: late.mutationId, status: 'applied', revision: 2, clock: { 'd:d1': 1, 'd:d2': 1 } },
    ]);
  });

  it('applies 20 mutations of one entity in one batch, each on top of the one before', async () => {
    const entityId = randomUUID();
    const results = await rig.push('alpha', chainOf(entityId, 20));
    expect(results.map((result) => result.status === 'applied' && result.revision)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    const events = await eventsOf(entityId);
    expect(events.map((event) => event.revision)).toEqual(results.map((_, index) => index + 1));
    expect(events.at(-1)).toMatchObject({
      entityclock: '{"d:d1":20}',
      data: { userId: 'u1', text: 'v0', f1: 1, f19: 19 },
    });
    const [continued] = await rig.push('alpha', chainOf(entityId, 1, 20));
    expect(continued).toMatchObject({ status: 'applied', revision: 21, clock: { 'd:d1': 21 } });
  });

  it('deletes, keeps counting, and lets a deleted entity be created again', async () => {
    const entityId = randomUUID();
    const at = (expectedRevision: number, given: Partial<PushedMutation> = {}): PushedMutation =>
      mutationOf({ entityId, expectedRevision, clock: { 'd:d1': expectedRevision + 1 }, ...given });
    await rig.push('alpha', [at(0)]);
    const [gone] = await rig.push('alpha', [at(1, { op: 'delete', data: null })]);
    expect(gone).toMatchObject({ status: 'applied', revision: 2 });
    const [unaware] = await rig.push('alpha', [at(0)]);
    expect(unaware).toMatchObject({
      status: 'conflict',
      current: { revision: 2, data: null, deleted: true },
    });
    const [back] = await rig.push('alpha', [at(2)]);
    expect(back).toMatchObject({ status: 'applied', revision: 3 });
    expect((await eventsOf(entityId)).map(({ entityop, data }) => [entityop, data === null])).toEqual([
      ['put', false],
      ['delete', true],
      ['put', false],
    ]);
  });
});

describe('append_only', () => {
  const append = (given: Partial<PushedMutation> = {}): PushedMutation =>
    mutationOf({ entityType: 'statement', data: { userId: 'u1', verb: 'read' }, ...given });

  const againUnder = async (
    sent: Partial<PushedMutation>,
    again: Partial<PushedMutation>,
  ): Promise<{ readonly first: OwnerPushResult; readonly second: OwnerPushResult }> => {
    const entityId = randomUUID();
    const [first] = await rig.push('alpha', [append({ entityId, ...sent })]);
    const [second] = await rig.push('alpha', [append({ entityId, ...again })]);
    if (!first || !second) throw new Error('the owner gave no answer');
    expect(await eventsOf(entityId)).toHaveLength(1);
    return { first, second };
  };

  it('answers a record that comes again under another mutationId as applied, though it stamped the first', async () => {
    const { first, second } = await againUnder({}, {});
    expect(second).toEqual({ ...first, mutationId: second.mutationId });
    expect(first).not.toHaveProperty('changed');
  });

  it('knows it again from another device, at another time, with its keys in another order', async () => {
    const again = { deviceId: 'd9', clock: { 'd:d9': 1 }, occurredAt: '2026-04-01T10:00:00.000Z' };
    const { second } = await againUnder({}, { ...again, data: { verb: 'read', userId: 'u1' } });
    expect(second).toMatchObject({ status: 'applied', revision: 1, clock: { 'd:d1': 1 } });
  });

  it('knows it again whether the gateway says its digest or not', async () => {
    // The service stamps `stored`: only by its digest is it the record that was sent.
    const data = { userId: 'u1', verb: 'read', stored: 'then' };
    const dataDigest = 'RByQMJDi6yLgJbDfI8PVDQG7Ml7A-ft_PhmuxcTCdqk';
    const told = { data, dataDigest };
    expect((await againUnder(told, { data })).second).toMatchObject({ status: 'applied', revision: 1 });
    expect((await againUnder({ data }, told)).second).toMatchObject({ status: 'applied', revision: 1 });
    const other = { data, dataDigest: 'x'.repeat(43) };
    expect((await againUnder(told, other)).second).toMatchObject({ code: 'entity_exists' });
  });

  it('knows it again by its stored data, as a device that has pulled it sends it', async () => {
    const entityId = randomUUID();
    await rig.push('alpha', [append({ entityId })]);
    const [event] = await eventsOf(entityId);
    const [again] = await rig.push('alpha', [append({ entityId, data: event?.data as EntityData })]);
    expect(again).toMatchObject({ status: 'applied', revision: 1 });
  });

  it('does not take the same words of another user for it: what they wrote would be gone', async () => {
    const { second } = await againUnder({}, { userId: 'u2', deviceId: 'd2', clock: { 'd:d2': 1 } });
    expect(second).toMatchObject({ status: 'rejected', code: 'entity_exists' });
  });

  it('says that it stands otherwise than sent, and how', async () => {
    const data = { userId: 'u1', verb: 'read', stored: 'when the device thought it was' };
    const { first, second } = await againUnder({ data }, { data });
    const stands = { userId: 'u1', verb: 'read', stored: expect.stringMatching(/Z$/) as string };
    expect(first).toMatchObject({ status: 'applied', changed: true, data: stands });
    expect(second).toEqual({ ...first, mutationId: second.mutationId });
  });

  it('rejects other content under a used id, and every op but append', async () => {
    const first = append();
    const other = append({ entityId: first.entityId, data: { userId: 'u1', verb: 'wrote' } });
    const patch = append({ entityId: first.entityId, op: 'patch', expectedRevision: 1 });
    const results = await rig.push('alpha', [first, other, patch]);
    expect(results.map((result) => (result.status === 'rejected' ? result.code : result.status))).toEqual([
      'applied',
      'entity_exists',
      'append_only_violation',
    ]);
  });
});

describe('neighbours', () => {
  it('are applied when a handler throws; its lane stays unanswered and is logged', async () => {
    const broken = mutationOf({ data: { userId: 'u1', text: 'boom' } });
    const behind = mutationOf({ entityId: broken.entityId, expectedRevision: 1 });
    const healthy = mutationOf();
    const results = await rig.push('alpha', [broken, behind, healthy]);
    expect(results.map(({ mutationId }) => mutationId)).toEqual([healthy.mutationId]);
    expect(rig.log.errors.map(({ message }) => message)).toContain('no answer: the push handler threw');
    const [repaired] = await rig.push('alpha', [{ ...broken, data: { userId: 'u1', text: 'fixed' } }]);
    expect(repaired).toMatchObject({ status: 'applied', revision: 1 });
  });

  it('are applied when the table refuses a row', async () => {
    const refused = mutationOf({ data: { userId: 'u1', text: 'refused by the table' } });
    const healthy = [mutationOf(), mutationOf()];
    const results = await rig.push('alpha', [refused, ...healthy]);
    expect(results.map(({ mutationId }) => mutationId)).toEqual(healthy.map(({ mutationId }) => mutationId));
    expect(await eventsOf(refused.entityId)).toEqual([]);
  });

  it('are applied when data holds what Postgres cannot store', async () => {
    const nul = mutationOf({ data: { userId: 'u1', text: 'a\u0000b' } });
    const half = mutationOf({ data: { userId: 'u1', text: 'ok', ['\ud800']: 1 } });
    const fine = mutationOf({
      data: { userId: 'u1', text: 'the text \\u0000 is six characters, \ud83d\ude00' },
    });
    const results = await rig.push('alpha', [nul, half, fine]);
    expect(results.map((result) => (result.status === 'rejected' ? result.code : result.status))).toEqual([
      'data_invalid',
      'data_invalid',
      'applied',
    ]);
  });
});

describe('concurrency', () => {
  it('creates an entity once when ten batches create the same ids in different orders', async () => {
    const ids: string[] = Array.from({ length: 30 }, () => randomUUID());
    const batches = Array.from({ length: 10 }, (_, batch) =>
      [...ids.slice(batch * 3), ...ids.slice(0, batch * 3)].map((entityId) =>
        mutationOf({ entityId, deviceId: `d${batch}`, clock: { [`d:d${batch}`]: 1 } }),
      ),
    );
    const answers = (await Promise.all(batches.map((batch) => rig.push('alpha', batch)))).flat();
    const counts = Object.groupBy(answers, ({ status }) => status);
    expect([counts.applied?.length, counts.conflict?.length]).toEqual([30, 270]);
    const events = (await rig.events()).filter((event) => ids.includes(event.entityid));
    expect(events).toHaveLength(30);
  });

  it('answers ten simultaneous repetitions of a batch alike, creating and changing', async () => {
    const created = Array.from({ length: 20 }, () => mutationOf());
    const changed = created.map(({ entityId }) => mutationOf({ entityId, expectedRevision: 1 }));
    for (const batch of [created, changed]) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => rig.push('alpha', batch)));
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(answers[0]?.map(({ status }) => status)).toEqual(batch.map(() => 'applied'));
    }
  });

  it('lets own changes and pushes of the same entities through without a deadlock', async () => {
    const ids = Array.from({ length: 10 }, () => randomUUID());
    await rig.push(
      'alpha',
      ids.map((entityId) => mutationOf({ entityId })),
    );
    const own = async (order: readonly string[]): Promise<void> => {
      const changes = order.map((entityId) => ({
        entityType: 'note',
        entityId,
        data: { userId: 'u1', text: 'by the service' },
      }));
      await rig.test.database.inTenant('alpha', (tx) => rig.owner().change(tx, 'alpha', changes));
    };
    const push = (order: readonly string[]): Promise<unknown> =>
      rig.push(
        'alpha',
        order.map((entityId) => mutationOf({ entityId, expectedRevision: 1, clock: { 'd:d1': 2 } })),
      );
    await Promise.all([own(ids), push(ids.toReversed()), own(ids.toReversed()), push(ids)]);
    const versions = await rig.test.database.inTenant('alpha', (tx) =>
      tx.query<{ clock: Record<string, number> }>(
        'SELECT clock FROM sync_entity WHERE entity_id = ANY ($1::text[])',
        [ids],
      ),
    );
    expect(versions.map(({ clock }) => clock[`s:${rig.service}`])).toEqual(ids.map(() => 2));
  });
});

describe('own changes by a handler', () => {
  it('are made once with the mutation, with the service’s own counter', async () => {
    const userId = `u-${randomUUID()}`;
    const done = (): PushedMutation => mutationOf({ userId, data: { userId, text: 'x', done: true } });
    await rig.push('alpha', [done(), done()]);
    await rig.push('alpha', [done()]);
    const events = await eventsOf(`badge-${userId}`);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      entitytype: 'badge',
      revision: 1,
      schemaversion: 3,
      entityclock: `{"s:${rig.service}":1}`,
      data: { userId },
    });
    expect(events[0]).not.toHaveProperty('mutationid');
  });
});

describe('bounds', () => {
  it('answers a request that is none, or of another entity type, with an error', async () => {
    const ask = (body: unknown): Promise<unknown> =>
      request(rig.nats, subjects.push(rig.service, 'note'), body, { timeoutMs: 5_000 });
    await expect(ask({ tenantId: 'a b', mutations: [] })).rejects.toMatchObject({ code: 'schema_invalid' });
    const foreign = { tenantId: 'alpha', mutations: [mutationOf({ entityType: 'statement' })] };
    await expect(ask(foreign)).rejects.toMatchObject({ code: 'schema_invalid' });
  });

  it('rejects an entity that no message could carry', async () => {
    const large = mutationOf({ data: { userId: 'u1', text: 'é'.repeat(400_000) } });
    const [tooLarge] = await rig.push('alpha', [large]);
    expect(tooLarge).toMatchObject({ status: 'rejected', code: 'data_too_large' });
  });
});

describe('tenants', () => {
  it('have each their own entity, inbox and events under the same ids', async () => {
    const mutation = mutationOf({ data: { userId: 'u1', text: 'alpha’s' } });
    await rig.push('alpha', [mutation]);
    const [foreign] = await rig.push('beta', [{ ...mutation, data: { userId: 'u1', text: 'beta’s' } }]);
    expect(foreign).toMatchObject({ status: 'applied', revision: 1 });
    expect((await eventsOf(mutation.entityId)).map(({ tenantid }) => tenantid)).toEqual(['alpha', 'beta']);
  });

  it.each(['sync_entity', 'sync_mutation_inbox', 'note'])(
    'see no row of %s without or beside their own',
    async (table) => {
      const mutation = mutationOf();
      await rig.push('alpha', [mutation]);
      const count = `SELECT count(*)::int4 AS rows, count(DISTINCT tenant_id)::int4 AS tenants FROM ${table}`;
      const { database } = rig.test;
      const [none] = await database.transaction((tx) => tx.query(count));
      expect(none).toEqual({ rows: 0, tenants: 0 });
      const [own] = await database.inTenant('alpha', (tx) => tx.query<{ tenants: number }>(count));
      expect(own?.tenants).toBe(1);
      await expect(
        database.inTenant('beta', (tx) => tx.query(`UPDATE ${table} SET tenant_id = 'alpha'`)),
      ).rejects.toThrow(/row-level security/);
    },
  );
});
