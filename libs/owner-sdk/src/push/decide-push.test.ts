import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import { defineEntity, mutatedData } from '../entity-definition.ts';
import type { EntityStore } from '../entity-store.ts';
import { accept, reject } from '../handler-answer.ts';
import { decidePush, type EntityNow, type PushState } from './decide-push.ts';

/** A decision reads and writes nothing. */
const NO_STORE = {} as EntityStore;

const note = defineEntity({
  entityType: 'note',
  schemaVersion: 2,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  ...NO_STORE,
  handle(mutation, current) {
    if (mutation.data?.['text'] === 'no') return reject('data_invalid', '/text says no');
    if (mutation.data?.['text'] === 'throw') throw new Error('broken');
    return accept(mutatedData(mutation, current, ['colour']));
  },
});

const stateOf = (entities: Record<string, EntityNow> = {}, answered: OwnerPushResult[] = []): PushState => ({
  service: 'learning',
  tenantId: 't1',
  nowIso: '2026-03-01T10:00:00.000Z',
  answered: new Map(answered.map((result) => [result.mutationId, { result, identity: null }])),
  entities: new Map(Object.entries(entities)),
});

const put = (given: Partial<PushedMutation> = {}): PushedMutation => ({
  mutationId: randomUUID(),
  userId: 'u1',
  deviceId: 'd1',
  scope: 'user:u1',
  entityType: 'note',
  entityId: 'n1',
  op: 'put',
  data: { text: 'x' },
  clock: { 'd:d1': 1 },
  expectedRevision: 0,
  occurredAt: '2026-03-01T09:00:00.000Z',
  schemaVersion: 1,
  ...given,
});

const existing: EntityNow = {
  revision: 5,
  clock: { 'd:other': 3, 's:learning': 2 },
  deleted: false,
  data: { text: 'old', colour: 'red' },
  sent: null,
};

describe('decidePush', () => {
  it('changes nothing it was given', () => {
    const state = stateOf({ n1: Object.freeze({ ...existing, data: Object.freeze({ ...existing.data }) }) });
    const mutations = Object.freeze([Object.freeze(put({ op: 'patch', expectedRevision: 5 }))]);
    const before = structuredClone([...state.entities]);
    expect(decidePush(note, state, mutations)).toEqual(decidePush(note, state, mutations));
    expect([...state.entities]).toEqual(before);
  });

  it('merges the owner’s clock with the mutation’s and shows both in the event', () => {
    const mutation = put({ op: 'patch', expectedRevision: 5, clock: { 'd:d1': 7, 'd:other': 1 } });
    const { results, changed, events } = decidePush(note, stateOf({ n1: existing }), [mutation]);
    const clock = { 'd:d1': 7, 'd:other': 3, 's:learning': 2 };
    expect(results).toEqual([{ mutationId: mutation.mutationId, status: 'applied', revision: 6, clock }]);
    expect(changed.get('n1')).toMatchObject({
      baseRevision: 5,
      revision: 6,
      clock,
      data: { text: 'x', colour: 'red' },
    });
    expect(events).toEqual([
      expect.objectContaining({
        revision: 6,
        schemaVersion: 2,
        entityClock: '{"d:d1":7,"d:other":3,"s:learning":2}',
        mutation: expect.objectContaining({ clock: '{"d:d1":7,"d:other":1}' }) as unknown,
      }),
    ]);
  });

  describe('says in the event what was written without being changed', () => {
    const now = { ...existing, data: { text: 'old', colour: 'red' } };
    const at = Date.parse('2026-03-01T09:00:00.000Z');
    const own = { atMs: at, by: 'd:d1', counter: 7 };
    const writesOf = (given: Partial<PushedMutation>, entity: EntityNow = now): unknown => {
      const mutation = put({ expectedRevision: 5, clock: { ...existing.clock, 'd:d1': 7 }, ...given });
      const [event] = decidePush(note, stateOf({ n1: entity }), [mutation]).events;
      const text = event?.mutation?.writes;
      return text === undefined ? undefined : JSON.parse(text);
    };

    it.each<[string, Partial<PushedMutation>, unknown]>([
      ['nothing when all changes', { op: 'patch', data: { text: 'new' } }, undefined],
      ['a repeated field', { op: 'patch', data: { text: 'new', colour: 'red' } }, { colour: own }],
      ['the entity itself of a put', { data: { text: 'new', colour: 'blue' } }, { '': own }],
      ['a field that is gone by null', { op: 'patch', data: { colour: null } }, { colour: own }],
      ['nothing of a field that a put leaves out', { data: { text: 'new' } }, { '': own }],
      ['nothing of a deletion', { op: 'delete', data: null }, undefined],
      [
        'what was decided, not what stands in the data',
        { data: { text: 'old', colour: 'red' }, fieldWrites: {} },
        undefined,
      ],
      [
        'the decided writer of a repeated field',
        { op: 'patch', data: { colour: 'red' }, fieldWrites: { colour: { ...own, atMs: 5 } } },
        { colour: { ...own, atMs: 5 } },
      ],
    ])('%s', (_what, given, writes) => expect(writesOf(given)).toEqual(writes));

    it('everything that was decided on the return of a deleted entity, of which the owner has no data', () => {
      const deleted = { ...existing, deleted: true, data: null };
      const fieldWrites = { '': own, text: own };
      expect(writesOf({ data: { text: 'x' }, fieldWrites }, deleted)).toEqual(fieldWrites);
    });

    it('nothing where that would outgrow an event', () => {
      const data = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`f${n}`, n]));
      expect(writesOf({ op: 'patch', data }, { ...existing, data })).toBeUndefined();
    });
  });

  it('answers a mutation that stands twice in the batch once', () => {
    const mutation = put();
    const { results, final, events } = decidePush(note, stateOf(), [mutation, mutation]);
    expect([results.length, final.length, events.length]).toEqual([1, 1, 1]);
  });

  it('counts on after answers from the inbox, in a batch that is half known', () => {
    const [known, next] = [put(), put({ op: 'patch', expectedRevision: 6 })];
    const answer = { mutationId: known.mutationId, status: 'applied', revision: 6 } as const;
    const state = stateOf({ n1: { ...existing, revision: 6 } }, [answer]);
    const { results, final } = decidePush(note, state, [known, next]);
    expect(results.map((result) => result.status === 'applied' && result.revision)).toEqual([6, 7]);
    expect(final).toHaveLength(1);
  });

  it('gives a conflict to what follows a rejection and expected its effect', () => {
    const [refused, behind] = [put({ data: { text: 'no' } }), put({ expectedRevision: 1 })];
    const { results, final, changed } = decidePush(note, stateOf(), [refused, behind]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'conflict']);
    expect(final.map(({ result }) => result.status)).toEqual(['rejected']);
    expect(changed.size).toBe(0);
  });

  it('gives a conflict to what follows a conflict, though its expected revision fits by accident', () => {
    const chain = [
      put({ op: 'patch', data: { text: 'B1' }, clock: { 'd:d1': 2 }, expectedRevision: 4 }),
      put({ op: 'patch', data: { text: 'B2' }, clock: { 'd:d1': 3 }, expectedRevision: 5 }),
    ];
    const { results, changed } = decidePush(note, stateOf({ n1: existing }), chain);
    expect(results.map(({ status }) => status)).toEqual(['conflict', 'conflict']);
    expect([...changed]).toEqual([]);
  });

  it('takes no counter of another replica that the owner has not given out', () => {
    const clock = { 'd:d1': 2, 's:learning': Number.MAX_SAFE_INTEGER, 'd:other': 9, 'd:unheard-of': 1 };
    const { changed } = decidePush(note, stateOf({ n1: existing }), [put({ clock, expectedRevision: 5 })]);
    expect(changed.get('n1')?.clock).toEqual({ 'd:d1': 2, 'd:other': 3, 's:learning': 2 });
  });

  it('counts on in a clock that was folded, and refuses when its own counter is used up', () => {
    const decided = (clock: EntityNow['clock'], own: number): unknown =>
      decidePush(note, stateOf({ n1: { ...existing, clock } }), [
        put({ clock: { 'd:d1': own, 'd:gone': 3 }, expectedRevision: 5 }),
      ]).results[0];
    const folded = { 's:learning': 2, 's:folded': 4 };
    expect(decided(folded, 2)).toMatchObject({ clock: { 'd:d1': 2, 's:learning': 2, 's:folded': 5 } });
    expect(decided(folded, 5)).toMatchObject({ clock: { 'd:d1': 5, 's:learning': 2, 's:folded': 4 } });
    const used = { 'd:d1': 1, 's:learning': Number.MAX_SAFE_INTEGER };
    expect(decided(used, 1)).toMatchObject({ status: 'rejected', code: 'clock_limit_exceeded' });
    expect(decided(used, 2)).toMatchObject({ status: 'applied' });
  });

  it('keeps what a lane did before its handler threw', () => {
    const lane = [put(), put({ data: { text: 'throw' }, expectedRevision: 1 }), put({ expectedRevision: 2 })];
    const { results, changed, unanswered } = decidePush(note, stateOf(), lane);
    expect(results.map(({ mutationId }) => mutationId)).toEqual([lane[0]?.mutationId]);
    expect(changed.get('n1')?.revision).toBe(1);
    expect(unanswered.map(({ mutation }) => mutation)).toEqual(lane.slice(1));
  });

  it('takes no part of an object’s prototype for an entity', () => {
    const { results } = decidePush(note, stateOf(), [
      put({ entityId: 'constructor' }),
      put({ entityId: '__proto__' }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['applied', 'applied']);
  });
});

describe('says of an applied mutation whether it stands as sent', () => {
  const trimming = defineEntity({
    ...note,
    handle: (mutation, current) => {
      const data = mutatedData(mutation, current);
      if (data === null) return accept({ ...current, deletedBy: mutation.userId });
      const { text, ...others } = data;
      return accept({ ...others, text: String(text).trim(), at: mutation.occurredAt });
    },
  });
  const at = '2026-03-01T09:00:00.000Z';

  it.each<[string, Partial<PushedMutation>, object | undefined]>([
    ['with what the owner added', { data: { text: 'x' } }, undefined],
    ['otherwise, where the owner changed a value', { data: { text: ' x ' } }, { text: 'x', at }],
    ['a patch by the fields it names', { op: 'patch', data: { colour: 'blue' } }, undefined],
    ['a deletion that the owner does not carry out', { op: 'delete', data: null }, { deletedBy: 'u1' }],
  ])('%s', (_what, given, data) => {
    const { results, final } = decidePush(trimming, stateOf({ n1: { ...existing, data: { text: 'old' } } }), [
      put({ expectedRevision: 5, ...given }),
    ]);
    const told = data ? { changed: true, data: expect.objectContaining(data) as unknown } : {};
    expect(results).toEqual([
      {
        mutationId: expect.anything() as unknown,
        status: 'applied',
        revision: 6,
        clock: expect.anything() as unknown,
        ...told,
      },
    ]);
    // Answered again, the entity may stand otherwise once more.
    expect(final[0]?.result).not.toHaveProperty('data');
    expect('changed' in (final[0]?.result ?? {})).toBe(data !== undefined);
  });
});

it('rejects an entity whose fields fit no delta together with who wrote each, and takes as much without fields', () => {
  const fields = (count: number): Record<string, number> =>
    Object.fromEntries(Array.from({ length: count }, (_none, at) => [`f${at}`, 0]));
  const answers = [put({ data: fields(20_000) }), put({ entityId: 'n2', data: fields(5_000) })];
  const grouped = put({ entityId: 'n3', data: { all: fields(20_000) } });
  const { results } = decidePush(note, stateOf(), [...answers, grouped]);
  expect(results.map((result) => ('code' in result ? result.code : result.status))).toEqual([
    'data_too_large',
    'applied',
    'applied',
  ]);
});
