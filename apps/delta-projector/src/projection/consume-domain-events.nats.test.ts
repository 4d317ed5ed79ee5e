import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { headers } from '@nats-io/transport-node';
import { STREAMS, subjects, type RegisteredEntityType } from '@sync/protocol';
import { domainEvent, REGISTRATIONS } from '../testing/domain-events.ts';
import { RunningProjector } from '../testing/running-projector.ts';

let running: RunningProjector;
beforeEach(async () => {
  running = await RunningProjector.open();
});
afterEach(() => running.close());

const bundle = (id: string, revision: number, courseId = 'c1') =>
  domainEvent({ type: 'bundle', id, revision, data: { courseId, title: `${revision}` } });
const bundles = (count: number, revision: number, offset = 0) =>
  Array.from({ length: count }, (_, n) => bundle(`b${n + offset}`, revision, `c${n % 3}`));
const countOf = async (revision: number): Promise<number> =>
  Object.values(await running.revisions('bundle')).filter((one) => one === revision).length;

/** Positions of every scope, in the order in which they were written. */
async function expectGapless(): Promise<void> {
  const last = new Map<string, bigint>();
  for (const { scope, sequence } of await running.deltas()) {
    expect([scope, sequence]).toEqual([scope, String((last.get(scope) ?? 0n) + 1n)]);
    last.set(scope, BigInt(sequence));
  }
}

const durable = (partition: number): string => `delta-projector-${partition}`;

describe('a projector', () => {
  it('brings committed events into scopes, over all partitions', async () => {
    running.answerList();
    await running.startWorker();
    await running.publish(...bundles(60, 1));
    await running.until('60 entities', async () => (await countOf(1)) === 60);
    await expectGapless();
    expect(await running.deltas()).toHaveLength(60);
  });

  it('counts what it has committed, under the names that alerts use', async () => {
    running.answerList();
    const { registry } = (await running.startWorker()).foundation.metrics;
    await running.publish(
      ...bundles(5, 1),
      domainEvent({ type: 'bundle', id: 'bad', revision: 1, data: {} }),
    );
    const shows = async (line: RegExp): Promise<boolean> => line.test(await registry.metrics());
    await running.until('six events', () => shows(/^sync_projection_lag_seconds_count\{.*\} 5$/m));
    await running.until('the refused one', () =>
      shows(/^sync_dead_letters_total\{code="scope_unrenderable".*\} 1$/m),
    );
    await running.until('all partitions', () => shows(/^sync_projection_partitions\{.*\} 5$/m));
    const text = await registry.metrics();
    expect(text).toMatch(/^sync_projection_events_total\{result="changed".*\} 5$/m);
    expect(text).toMatch(/^sync_projection_events_total\{result="refused".*\} 1$/m);
    expect(text).toMatch(/^sync_projection_batch_seconds_count\{.*\} [1-9]/m);
    expect(text).toMatch(/^sync_quarantined_entities\{.*\} 1$/m);
  });

  it('is ready when every partition has a worker, and answers over NATS', async () => {
    running.answerList();
    const { operations } = await running.startWorker();
    const failures = async (): Promise<string[]> => {
      const results = await Promise.allSettled(operations.readiness.map(({ check }) => check()));
      return results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    };
    await running.until('ready', async () => (await failures()).length === 0);
    await running.publish(bundle('b1', 1));
    await running.until('projected', async () => (await countOf(1)) === 1);
    const reply = await running.connection.request(
      subjects.explain,
      JSON.stringify({ tenantId: 't1', entityType: 'bundle', entityId: 'b1' }),
    );
    expect(reply.json()).toMatchObject({ entity: { revision: 1, scopes: [{ scope: 'course:c1' }] } });
    const refused = await running.connection.request(subjects.deadLetters, '{}');
    expect(refused.json()).toMatchObject({ error: { code: 'schema_invalid' } });
  });

  it('starts from its own copy of the registrations while the gateway is away', async () => {
    const gateway = running.answerList();
    const first = await running.startWorker();
    await running.until('copied', async () => {
      const rows = await running.test.database.call('copies', 'SELECT 1 FROM registration_copy', []);
      return rows.length === REGISTRATIONS.length;
    });
    await first.stop();
    await gateway.stop();
    await running.startWorker();
    await running.publish(bundle('b1', 1));
    await running.until('projected', async () => (await countOf(1)) === 1);
    expect(await running.deltas()).toHaveLength(1);
  });

  it('waits for nobody when an event comes before its registration', async () => {
    running.registrations = [];
    running.answerList();
    const { projector } = await running.startWorker();
    await running.until('listed', () => projector.registry.all().length === 0);
    running.registrations = REGISTRATIONS;
    // No notice is sent: the event itself makes the projector look.
    await running.publish(bundle('b1', 1));
    await running.until('projected', async () => (await countOf(1)) === 1);
    expect(await running.deltas()).toHaveLength(1);
  });
});

describe('workers', () => {
  it('share the partitions, and take over those of one that stops', async () => {
    running.answerList();
    const first = await running.startWorker();
    const held = (worker: typeof first): number => worker.projector.consumer.partitions().length;
    const all = STREAMS.DOMAIN_EVENTS.partitions + 1;
    await running.until('one worker holds all', () => held(first) === all);
    const second = await running.startWorker();
    await running.until('two share', () => held(first) + held(second) === all && held(second) >= 2);
    const publishing = (async () => {
      for (let revision = 1; revision <= 6; revision += 1) await running.publish(...bundles(40, revision));
    })();
    await first.stop();
    await publishing;
    await running.until('the other one holds all', () => held(second) === all);
    await running.until('all at revision 6', async () => (await countOf(6)) === 40);
    await expectGapless();
  });

  it('double nothing when no acknowledgement has reached the broker', async () => {
    running.answerList();
    const worker = await running.startWorker();
    await running.publish(...bundles(30, 1));
    await running.until('projected', async () => (await countOf(1)) === 30);
    const written = await running.deltas();
    await worker.stop();
    // To the broker this is a worker that died after each commit, before its acknowledgement: it delivers
    // everything again.
    const { consumers, streams } = await jetstreamManager(running.connection);
    const partitions = [...Array(STREAMS.DOMAIN_EVENTS.partitions).keys()];
    for (const partition of partitions)
      await consumers.delete(STREAMS.DOMAIN_EVENTS.name, durable(partition));
    await running.startWorker();
    const { messages } = (await streams.info(STREAMS.DOMAIN_EVENTS.name)).state;
    await running.until('delivered and acknowledged again', async () => {
      const infos = partitions.map((partition) =>
        consumers.info(STREAMS.DOMAIN_EVENTS.name, durable(partition)),
      );
      const settled = await Promise.allSettled(infos);
      const floors = settled.map((info) =>
        info.status === 'fulfilled' ? info.value.delivered.consumer_seq : 0,
      );
      return floors.reduce((sum, floor) => sum + floor, 0) >= messages;
    });
    await running.publish(bundle('last', 1));
    await running.until('the next one', async () => (await countOf(1)) === 31);
    expect((await running.deltas()).slice(0, written.length)).toEqual(written);
    expect(await running.deltas()).toHaveLength(written.length + 1);
  });
});

describe('plain CloudEvents', () => {
  const publishPlain = (event: unknown): Promise<unknown> =>
    jetstream(running.connection).publish(subjects.plainEvents('learning', 'bundle'), JSON.stringify(event));

  it('are projected without numbers, once per revision', async () => {
    running.answerList();
    await running.startWorker();
    await publishPlain(bundle('b1', 1));
    // Of several in one batch only the last becomes a delta.
    await running.until('projected', async () => (await countOf(1)) === 1);
    await publishPlain([bundle('b1', 1), bundle('b1', 2), bundle('b2', 1)]);
    await running.until('projected', async () => {
      return JSON.stringify(await running.revisions('bundle')) === JSON.stringify({ b1: 2, b2: 1 });
    });
    await publishPlain(bundle('b1', 1));
    await publishPlain(bundle('b3', 1));
    await running.until('the next one', async () => 'b3' in (await running.revisions('bundle')));
    const ofB1 = (await running.deltas()).filter(({ entityId }) => entityId === 'b1');
    expect(ofB1.map(({ revision }) => revision)).toEqual([1, 2]);
  });

  it('without clocks get one of their own each, whatever mutations they name', async () => {
    running.answerList();
    await running.startWorker();
    const plain = (revision: number, mutationclock?: object): object => {
      const { entityclock: _none, ...event } = bundle('b1', revision);
      if (!mutationclock) return event;
      return {
        ...event,
        mutationid: randomUUID(),
        mutationdevice: 'd1',
        mutationclock: JSON.stringify(mutationclock),
      };
    };
    const byDevice = { 's:learning': 1, 'd:d1': 1 };
    // A resolution goes to the owner with the clock that the person saw: its event brings nothing that is not
    // known.
    const events = [plain(1), plain(2, byDevice), plain(3, byDevice), plain(4)];
    // One by one, as above.
    for (const [index, event] of events.entries()) {
      await publishPlain(event);
      await running.until('projected', async () => (await countOf(index + 1)) === 1);
    }
    const clocks = (await running.deltas()).map(({ clock }) => clock);
    expect(clocks).toEqual([
      { 's:learning': 1 },
      byDevice,
      { ...byDevice, 's:learning': 2 },
      { ...byDevice, 's:learning': 3 },
    ]);
  });

  it('may come in binary mode', async () => {
    running.answerList();
    await running.startWorker();
    const { data, ...attributes } = bundle('b1', 3);
    const binary = headers();
    for (const [name, value] of Object.entries(attributes)) binary.set(`ce-${name}`, String(value));
    const subject = subjects.plainEvents('learning', 'bundle');
    await jetstream(running.connection).publish(subject, JSON.stringify(data), { headers: binary });
    await running.until('projected', async () => (await countOf(3)) === 1);
    expect(await running.deltas()).toMatchObject([{ entityId: 'b1', revision: 3 }]);
  });

  it('are found on the stream of a service that names its own subjects, among events that are not for us', async () => {
    const { streams } = await jetstreamManager(running.connection);
    await streams.add({ name: 'SHOP', subjects: ['shop.>'] });
    const [bundleType] = REGISTRATIONS.filter(({ entityType }) => entityType === 'bundle');
    running.registrations = [
      { ...(bundleType as RegisteredEntityType), service: 'shop', eventSubjects: ['shop.bundles.*'] },
    ];
    running.answerList();
    await running.startWorker();
    const publish = (subject: string, event: unknown): Promise<unknown> =>
      jetstream(running.connection).publish(subject, JSON.stringify(event));
    await publish('shop.bundles.changed', bundle('b1', 1));
    await publish('shop.bundles.changed', { type: 'an internal event' });
    await publish('shop.bundles.changed', domainEvent({ type: 'basket', id: 'x', revision: 1, data: {} }));
    await publish('shop.orders.changed', bundle('b2', 1));
    await publish('shop.bundles.changed', bundle('b3', 1));
    await running.until('projected', async () => 'b3' in (await running.revisions('bundle')));
    expect(await running.revisions('bundle')).toEqual({ b1: 1, b3: 1 });
    expect(await running.test.database.call('unreadable', 'SELECT 1 FROM unreadable_event', [])).toEqual([]);
  });
});
