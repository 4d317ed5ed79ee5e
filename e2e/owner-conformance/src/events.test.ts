import { POLICIES } from '@sync/domain';
import { needed } from '@sync/e2e-conformance/needs';
import { DomainEvent, validator } from '@sync/protocol';
import { parseClock } from '@sync/vector-clock';
import type { SeenNumber } from './kit/event-log.ts';
import { Owner, typesUnderTest } from './kit/owner.ts';
import { Writer } from './kit/writer.ts';

const MANY = 10;
const checkEvent = validator(DomainEvent);

let owner: Owner;
beforeAll(async () => {
  owner = await Owner.connect();
});
afterAll(() => owner.close());

const faultsOf = (event: unknown): readonly unknown[] => {
  const checked = checkEvent(event);
  return checked.ok ? [] : checked.faults;
};

describe.each(typesUnderTest())('$entityType', (type) => {
  it('tells of each change once: a CloudEvent with the whole entity', async () => {
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    const changes = writer.isWrittenOnce ? [] : [writer.change(entityId, 1), writer.change(entityId, 2)];
    const revision = await owner.apply(writer, made, ...changes);
    await owner.settle(writer);
    const events = await owner.awaitEvents(writer, entityId, 1 + changes.length);
    expect(owner.events.unreadable).toEqual([]);
    expect(events.flatMap(faultsOf)).toEqual([]);
    expect(events.map((event) => event.revision)).toEqual([1, 2, 3].slice(0, revision));
    const { tenantId: tenantid } = writer;
    for (const event of events)
      expect(event).toMatchObject({ tenantid, entitytype: type.entityType, entityid: entityId });
    // `stored` has what its owner added, as the event has to.
    const stored = await owner.stored(writer, entityId);
    expect(Object.keys(events.at(-1)?.data ?? {})).toEqual(
      expect.arrayContaining(Object.keys(made.data ?? {})),
    );
    if (type.registration.policy !== 'crdt_yjs') expect(events.at(-1)?.data).toEqual(stored?.data);
  });

  it('gives each event an id of its own', async () => {
    const writer = new Writer(type);
    const mutations = Array.from({ length: MANY }, () => writer.create());
    await owner.push(writer, ...mutations);
    for (const { entityId } of mutations) await owner.awaitEvents(writer, entityId, 1);
    const own = owner.events.seen.filter(({ event }) => event.tenantid === writer.tenantId);
    const entities = Map.groupBy(own, ({ event }) => `${event.source} ${event.id}`);
    expect([...entities.values()].filter((same) => new Set(same.map(idOf)).size > 1)).toEqual([]);
    expect(entities.size).toBeGreaterThanOrEqual(MANY);
  });

  it('tells in the clock of an event, where it has one, which change it was', async () => {
    const writer = new Writer(type);
    const made = writer.create();
    await owner.apply(writer, made);
    const [event] = await owner.awaitEvents(writer, made.entityId, 1);
    if (event?.entityclock === undefined) throw needed('events with a clock');
    const clock = parseClock(JSON.parse(event.entityclock));
    expect(clock).toMatchObject({ ok: true, clock: made.clock });
    // A device forgets a pending change when it pulls this dot, so it has to be the change’s own.
    if (event.mutationid !== undefined) expect(event.mutationid).toBe(made.mutationId);
    const [answer] = await owner.push(writer, made);
    if (answer?.status === 'applied' && answer.clock) expect(clock).toMatchObject({ clock: answer.clock });
  });

  it('tells who made a change, when, and what repeats a value', async () => {
    const { comparesFields } = POLICIES[type.registration.policy];
    if (!comparesFields) throw needed(`a policy that compares fields: not that of ${type.entityType}`);
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    // The last one writes what is there already.
    const mutations = [made, writer.change(entityId, 1), writer.change(entityId, 2)];
    await owner.apply(writer, ...mutations);
    const events = await owner.awaitEvents(writer, entityId, mutations.length);
    const told = events.map(({ mutationid, mutationdevice, mutationtime = '', mutationclock = '{}' }) => {
      const clock = parseClock(JSON.parse(mutationclock));
      return { mutationid, mutationdevice, atMs: Date.parse(mutationtime), clock: clock.ok && clock.clock };
    });
    expect(told).toEqual(
      mutations.map(({ mutationId: mutationid, deviceId: mutationdevice, occurredAt, clock }) => {
        return { mutationid, mutationdevice, atMs: Date.parse(occurredAt), clock };
      }),
    );
    const { data, occurredAt } = mutations[2] ?? made;
    const write = { atMs: Date.parse(occurredAt), by: `d:${writer.deviceId}`, counter: 3 };
    const written = Object.fromEntries(Object.keys(data ?? {}).map((field) => [field, write]));
    expect(JSON.parse(events[2]?.mutationwrites ?? '{}')).toMatchObject(written);
  });

  it('tells of a change only when it is stored', async () => {
    const writer = new Writer(type);
    const looks: Promise<readonly [number | undefined, number | undefined]>[] = [];
    owner.events.onEvent = ({ event }) => {
      if (event.tenantid !== writer.tenantId) return;
      const look = owner
        .stored(writer, event.entityid ?? '')
        .then((stored) => [event.revision, stored?.revision] as const);
      // Seen below; until then nobody waits for it.
      look.catch(() => undefined);
      looks.push(look);
    };
    const mutations = Array.from({ length: MANY }, () => writer.create());
    try {
      for (const mutation of mutations) await owner.apply(writer, mutation);
      for (const { entityId } of mutations) await owner.awaitEvents(writer, entityId, 1);
    } finally {
      // An event may come again at any time, and its look would outlive the connection.
      owner.events.onEvent = () => undefined;
    }
    const seen = await Promise.all(looks);
    expect(seen.length).toBeGreaterThanOrEqual(MANY);
    expect(seen.filter(([told = 0, stored = 0]) => stored < told)).toEqual([]);
  });

  it('tells nothing of what changed nothing', async () => {
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    await owner.apply(writer, made);
    const stale = writer.isWrittenOnce ? made : writer.change(entityId, 7);
    await owner.push(writer, stale);
    await owner.push(writer, made);
    await owner.settle(writer);
    expect(owner.eventsOf(writer, entityId).map(({ revision }) => revision)).toEqual([1]);
  });

  it('tells of a deletion without data, and counts on when the entity is made again', async () => {
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    await owner.apply(writer, made, writer.remove(entityId, 1));
    expect(await owner.push(writer, writer.change(entityId, 1))).toMatchObject([
      { status: 'conflict', current: { revision: 2, deleted: true, data: null } },
    ]);
    expect(await owner.apply(writer, writer.create(entityId, 2))).toBe(3);
    const events = await owner.awaitEvents(writer, entityId, 3);
    expect(events.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    expect(events.map(({ data }) => data === null)).toEqual([false, true, false]);
    expect(events.flatMap(faultsOf)).toEqual([]);
  });

  it('numbers its messages without a gap, where it numbers them', async () => {
    const writer = new Writer(type);
    for (let count = 0; count < MANY; count += 1) await owner.settle(writer);
    const { numbers } = owner.events;
    if (numbers.length === 0) throw needed('a service that numbers its messages, as those on the SDK do');
    const lanes = Map.groupBy(numbers, ({ partition, producer, epoch }) =>
      [producer, epoch, partition].join(' '),
    );
    expect([...lanes].flatMap(([lane, own]) => gapsIn(own).map((gap) => `${lane}: ${gap}`))).toEqual([]);
  });
});

const idOf = ({ event }: { readonly event: Partial<DomainEvent> }): string =>
  `${event.entityid} ${event.revision}`;

/** What is missing between the first that was seen and the last: whoever reads waits for it. */
function gapsIn(own: readonly SeenNumber[]): string[] {
  const sorted = [...new Set(own.map(({ number }) => number))].sort((one, other) => one - other);
  return sorted.flatMap((number, at) => {
    const next = sorted[at + 1];
    return next === undefined || next === number + 1 ? [] : [`${next} follows ${number}`];
  });
}
