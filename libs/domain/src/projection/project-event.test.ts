import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalClockJson } from '@sync/vector-clock';
import type { JsonObject } from '../json.ts';
import { ENROLLMENT, RULE, U1, U2, changed, eventOf, headAfter, service } from '../testing/domain-changes.ts';
import { projectEvent } from './project-event.ts';
import type { DomainChange, EntityHead, ProjectionRule } from './projection.ts';

describe('a first event', () => {
  it('makes a head and a put in each scope', () => {
    expect(projectEvent(null, eventOf(1, U1), RULE)).toEqual({
      kind: 'changed',
      head: {
        revision: 1,
        schemaVersion: 1,
        clock: { 's:learning': 1 },
        data: U1,
        deleted: false,
        deletedData: null,
        scopes: ['user:u1'],
        leftScopes: [],
        grants: [],
        fieldWrites: { '': service(10, 1), userId: service(10, 1), text: service(10, 1) },
      },
      deltas: [{ scope: 'user:u1', op: 'put', data: U1, update: null }],
      entered: ['user:u1'],
      granted: [],
      revoked: [],
    });
  });

  it('keeps no writers where decisions compare no fields', () => {
    const rule: ProjectionRule = { ...RULE, policy: 'append_only' };
    const { head } = changed(projectEvent(null, eventOf(1, U1), rule));
    const { head: next } = changed(projectEvent(head, eventOf(1, U2), { ...rule, schemaVersion: 2 }));
    expect([head.fieldWrites, next.fieldWrites]).toEqual([{}, {}]);
  });

  it('that deletes makes a tombstone that nobody needs to be told of', () => {
    expect(projectEvent(null, eventOf(3, null), RULE)).toEqual({
      kind: 'changed',
      head: {
        revision: 3,
        schemaVersion: 1,
        clock: { 's:learning': 1 },
        data: null,
        deleted: true,
        deletedData: null,
        scopes: [],
        leftScopes: [],
        grants: [],
        fieldWrites: { '': service(30, 1) },
      },
      deltas: [],
      entered: [],
      granted: [],
      revoked: [],
    });
  });
});

describe('a deletion', () => {
  it('is told where the entity was, and so is each later one, until somebody makes it anew', () => {
    const gone = [{ scope: 'user:u1', op: 'delete', data: null, update: null }];
    const first = changed(projectEvent(headAfter(RULE, U1), eventOf(2, null), RULE));
    expect([first.head.scopes, first.head.leftScopes, first.deltas]).toEqual([[], ['user:u1'], gone]);
    const second = changed(projectEvent(first.head, eventOf(3, null), RULE));
    expect([second.head.leftScopes, second.deltas]).toEqual([['user:u1'], gone]);
    const anew = changed(projectEvent(second.head, eventOf(4, U2), RULE));
    expect([anew.head.scopes, anew.head.leftScopes]).toEqual([['user:u2'], []]);
    expect(anew.deltas.map(({ scope, op }) => [scope, op])).toEqual([['user:u2', 'put']]);
  });
});

describe('an increment of a document', () => {
  const rule: ProjectionRule = { ...RULE, policy: 'crdt_yjs', docUpdateField: 'body' };
  const whole = { ...U1, body: 'AAAA' };
  const head = (): EntityHead => headAfter(rule, whole);
  const increment = (revision: number, data: JsonObject | null): DomainChange =>
    eventOf(revision, data, { isIncrement: true });

  it('is projected where it continues the head', () => {
    const { deltas } = changed(projectEvent(head(), increment(2, { ...whole, body: 'BBBB' }), rule));
    expect(deltas).toEqual([{ scope: 'user:u1', op: 'merge', data: U1, update: 'BBBB' }]);
  });

  it('is incomplete behind a gap, in a scope that is new, and without a document before it', () => {
    const incomplete = { kind: 'incomplete' };
    expect(projectEvent(head(), increment(3, whole), rule)).toEqual(incomplete);
    expect(projectEvent(head(), increment(2, { ...U2, body: 'BBBB' }), rule)).toEqual(incomplete);
    expect(projectEvent(null, increment(1, whole), rule)).toEqual(incomplete);
    const gone = changed(projectEvent(head(), eventOf(2, null), rule)).head;
    expect(projectEvent(gone, increment(3, whole), rule)).toEqual(incomplete);
    // The rule shows more since, and what the devices have of the document is not known.
    expect(projectEvent(head(), increment(1, whole), { ...rule, schemaVersion: 2 })).toEqual(incomplete);
  });

  it('is stale like any event, deletes like any event, and means nothing for a type without a document', () => {
    expect(projectEvent(head(), increment(1, whole), rule)).toEqual({ kind: 'stale' });
    expect(projectEvent(head(), increment(9, null), rule).kind).toBe('changed');
    expect(projectEvent(headAfter(RULE, U1), increment(9, U1), RULE).kind).toBe('changed');
  });
});

describe('order', () => {
  const present = (): EntityHead => headAfter(RULE, U1, U1);

  it('is by revision: what is not newer than the head is stale', () => {
    expect(projectEvent(present(), eventOf(1, U1), RULE)).toEqual({ kind: 'stale' });
    expect(projectEvent(present(), eventOf(2, U2), RULE)).toEqual({ kind: 'stale' });
    expect(projectEvent(present(), eventOf(1, null), RULE)).toEqual({ kind: 'stale' });
    expect(projectEvent(present(), eventOf(3, U1), RULE).kind).toBe('changed');
    expect(projectEvent(present(), eventOf(9, U1), RULE).kind).toBe('changed');
  });

  it('does not keep from a scope that the entity is gone, where the later event came first', () => {
    const moved = present();
    expect(projectEvent(moved, eventOf(1, U2), RULE)).toEqual({
      kind: 'overtaken',
      head: moved,
      left: ['user:u2'],
    });
    const deleted = changed(projectEvent(null, eventOf(3, null), RULE)).head;
    const known = { ...deleted, leftScopes: ['user:u2'], deletedData: U2 };
    expect(projectEvent(deleted, eventOf(2, U2), RULE)).toEqual({
      kind: 'overtaken',
      head: known,
      left: ['user:u2'],
    });
    expect(projectEvent(known, eventOf(2, U2), RULE)).toEqual({ kind: 'stale' });
    // What it was right before the deletion is not known, or was seen by others.
    const older = { ...deleted, leftScopes: ['user:u1'], deletedData: null };
    expect(projectEvent(deleted, eventOf(1, U1), RULE)).toMatchObject({ head: older });
    const others = { ...known, leftScopes: ['user:u1', 'user:u2'], deletedData: null };
    expect(projectEvent(known, eventOf(1, U1), RULE)).toMatchObject({ head: others, left: ['user:u1'] });
  });

  it('is checked before content: an old event cannot poison', () => {
    expect(projectEvent(present(), eventOf(1, {}), RULE)).toEqual({ kind: 'stale' });
  });

  it('lets the head’s own revision through once more under a newer schema, with the same clock', () => {
    const rule = { ...RULE, schemaVersion: 2, fields: ['text'] };
    const { head: next, deltas } = changed(
      projectEvent(present(), eventOf(2, U1, { occurredAtMs: 99 }), rule),
    );
    expect(next).toMatchObject({
      revision: 2,
      schemaVersion: 2,
      clock: present().clock,
      data: { text: 'a' },
    });
    expect(next.fieldWrites).toEqual({
      '': service(10, 1),
      userId: { ...service(10, 1), removedBy: service(99, 2) },
      text: service(10, 1),
    });
    expect(deltas).toEqual([{ scope: 'user:u1', op: 'put', data: { text: 'a' }, update: null }]);
    expect(projectEvent(next, eventOf(2, U1), rule)).toEqual({ kind: 'stale' });
    expect(projectEvent(next, eventOf(1, U1), { ...rule, schemaVersion: 3 })).toEqual({ kind: 'stale' });
  });

  it('keeps a tombstone as it is under a newer schema', () => {
    const gone = headAfter(RULE, U1, null);
    const rule = { ...RULE, schemaVersion: 2 };
    const { head: next } = changed(projectEvent(gone, eventOf(2, null), rule));
    expect(next).toEqual({ ...gone, schemaVersion: 2 });
  });

  it('makes any order of delivery end in the same data as the newest event alone', () => {
    const revisions = fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 5 });
    fc.assert(
      fc.property(revisions, (order) => {
        let present: EntityHead | null = null;
        for (const revision of order) {
          const data = revision === 3 ? null : { userId: `u${revision % 2}`, text: `t${revision}` };
          const result = projectEvent(present, eventOf(revision, data), RULE);
          if (result.kind === 'changed') present = result.head;
        }
        expect(present).toMatchObject({
          revision: 5,
          data: { userId: 'u1', text: 't5' },
          scopes: ['user:u1'],
        });
      }),
    );
  });
});

describe('the clock', () => {
  const present = (): EntityHead => headAfter(RULE, U1);

  it('is the owner’s merged in, when it keeps one', () => {
    const event = eventOf(2, U1, { clock: { 'd:a': 3 }, mutationClock: { 'd:b': 7 }, mutationDeviceId: 'b' });
    expect(changed(projectEvent(present(), event, RULE)).head.clock).toEqual({ 's:learning': 1, 'd:a': 3 });
  });

  it('else the mutation’s merged in', () => {
    const event = eventOf(2, U1, { mutationClock: { 'd:b': 7 }, mutationDeviceId: 'b' });
    expect(changed(projectEvent(present(), event, RULE)).head.clock).toEqual({ 's:learning': 1, 'd:b': 7 });
  });

  it('else one more change of the service', () => {
    expect(changed(projectEvent(present(), eventOf(2, U1), RULE)).head.clock).toEqual({ 's:learning': 2 });
    const other = eventOf(2, U1, { service: 'authoring' });
    expect(changed(projectEvent(present(), other, RULE)).head.clock).toEqual({
      's:learning': 1,
      's:authoring': 1,
    });
  });

  it.each([
    ['a resolution, which counts for nobody', { 's:learning': 1 }],
    ['a device that counts wrong', { 's:learning': 1, 'd:b': 7 }],
  ])('is never that of another change: %s is a change of the service', (_what, mutationClock) => {
    const first = eventOf(2, U1, { mutationClock: { 'd:b': 7 }, mutationDeviceId: 'b' });
    const { head } = changed(projectEvent(present(), first, RULE));
    const event = eventOf(3, { ...U1, text: 'b' }, { mutationClock, mutationDeviceId: 'b' });
    const after = changed(projectEvent(head, event, RULE)).head;
    expect(after.clock).toEqual({ 's:learning': 2, 'd:b': 7 });
    expect(after.fieldWrites['text']).toEqual(service(30, 2));
  });

  it('advances with every revision of an owner that keeps none, whatever its events bring', () => {
    const clocks = fc.dictionary(fc.constantFrom('d:a', 'd:b', 's:learning'), fc.integer({ min: 1, max: 4 }));
    const cause = fc.record({
      mutationClock: fc.option(clocks),
      mutationDeviceId: fc.option(fc.constantFrom('a', 'b')),
    });
    fc.assert(
      fc.property(fc.array(cause, { minLength: 2, maxLength: 8 }), (causes) => {
        let head: EntityHead | null = null;
        const seen = new Set<string>();
        for (const [index, fields] of causes.entries()) {
          head = changed(projectEvent(head, eventOf(index + 1, U1, fields), RULE)).head;
          seen.add(canonicalClockJson(head.clock));
        }
        expect(seen.size).toBe(causes.length);
      }),
    );
  });

  it('names the writer: the mutation’s device with its counter, else the service', () => {
    const clock = { 's:learning': 1, 'd:a': 2, 'd:b': 7 };
    const byDevice = eventOf(
      2,
      { ...U1, text: 'b' },
      { clock, mutationClock: { 'd:b': 7 }, mutationDeviceId: 'b' },
    );
    expect(changed(projectEvent(present(), byDevice, RULE)).head.fieldWrites['text']).toEqual({
      atMs: 20,
      by: 'd:b',
      counter: 7,
    });
    const withoutClock = eventOf(2, { ...U1, text: 'b' }, { clock, mutationDeviceId: 'a' });
    expect(changed(projectEvent(present(), withoutClock, RULE)).head.fieldWrites['text']).toEqual({
      atMs: 20,
      by: 'd:a',
      counter: 2,
    });
    const byService = eventOf(
      2,
      { ...U1, text: 'b' },
      { clock: { 's:learning': 5 }, mutationClock: { 'd:b': 7 } },
    );
    expect(changed(projectEvent(present(), byService, RULE)).head.fieldWrites['text']).toEqual(
      service(20, 5),
    );
  });

  it('takes the decision’s field writes when the owner passes them on', () => {
    const decidedWrites = { text: { atMs: 15, by: 'd:b', counter: 7 } };
    const event = eventOf(2, U1, { mutationClock: { 'd:b': 7 }, mutationDeviceId: 'b', decidedWrites });
    expect(changed(projectEvent(present(), event, RULE)).head.fieldWrites['text']).toEqual(
      decidedWrites.text,
    );
  });
});

describe('fields', () => {
  it('are chosen by the rule; scopes and grants may use the others', () => {
    const rule = { ...RULE, fields: ['text', 'absent'] };
    const { head, deltas } = changed(projectEvent(null, eventOf(1, U1), rule));
    expect(head.data).toEqual({ text: 'a' });
    expect(deltas).toEqual([{ scope: 'user:u1', op: 'put', data: { text: 'a' }, update: null }]);
    expect(Object.keys(head.fieldWrites)).toEqual(['text', '']);
  });

  it('may have any name', () => {
    const data = JSON.parse('{"__proto__":{"x":1},"userId":"u1"}') as JsonObject;
    const { head } = changed(projectEvent(null, eventOf(1, data), RULE));
    expect(Object.keys(head.data ?? {})).toEqual(['__proto__', 'userId']);
  });
});

describe('documents', () => {
  const rule = { ...RULE, policy: 'crdt_yjs', docUpdateField: 'body' } as const;

  it('take the update out of the data', () => {
    const { head, deltas } = changed(projectEvent(null, eventOf(1, { ...U1, body: 'AAA=' }), rule));
    expect(head.data).toEqual(U1);
    expect(deltas).toEqual([{ scope: 'user:u1', op: 'merge', data: U1, update: 'AAA=' }]);
    expect(head.fieldWrites['body']).toEqual(service(10, 1));
  });

  it('take the event’s own update first', () => {
    const event = eventOf(1, { ...U1, body: 'AAA=' }, { update: 'BBB=' });
    expect(changed(projectEvent(null, event, rule)).deltas).toEqual([
      { scope: 'user:u1', op: 'merge', data: U1, update: 'BBB=' },
    ]);
    const noField = { ...rule, docUpdateField: null };
    const { head } = changed(projectEvent(null, eventOf(1, U1, { update: 'BBB=' }), noField));
    expect(head.fieldWrites['update']).toEqual(service(10, 1));
  });

  it('remember who wrote the text last', () => {
    const first = changed(projectEvent(null, eventOf(1, U1, { update: 'A' }), rule)).head;
    const mutation = { mutationClock: { 'd:a': 1 }, mutationDeviceId: 'a', update: 'B' };
    const second = changed(projectEvent(first, eventOf(2, U1, mutation), rule)).head;
    expect(second.fieldWrites['body']).toEqual({ atMs: 20, by: 'd:a', counter: 1 });
    expect(second.fieldWrites['text']).toEqual(service(10, 1));
  });

  it('without an update are put like anything else', () => {
    expect(changed(projectEvent(null, eventOf(1, { ...U1, body: null }), rule)).deltas).toEqual([
      { scope: 'user:u1', op: 'put', data: U1, update: null },
    ]);
  });
});

describe('poison', () => {
  it.each<[string, DomainChange, ProjectionRule, object]>([
    ['a fraction as revision', eventOf(1.5, U1), RULE, { code: 'revision_invalid', path: '/revision' }],
    ['a negative revision', eventOf(-1, U1), RULE, { code: 'revision_invalid', path: '/revision' }],
    ['a put without data', eventOf(1, null, { op: 'put' }), RULE, { code: 'data_not_object', path: '/data' }],
    [
      'a list as data',
      eventOf(1, [] as unknown as JsonObject),
      RULE,
      { code: 'data_not_object', path: '/data' },
    ],
    ['a missing scope field', eventOf(1, {}), RULE, { code: 'scope_unrenderable', path: '/rule/scopes/0' }],
    [
      'a scope that is none',
      eventOf(1, { userId: 'u1', c: 'a b' }),
      { ...RULE, scopes: ['user:{userId}', 'c:{c}'] },
      { code: 'scope_unrenderable', path: '/rule/scopes/1' },
    ],
    [
      'a broken scope template',
      eventOf(1, U1),
      { ...RULE, scopes: ['user'] },
      { code: 'template_invalid', path: '/rule/scopes/0' },
    ],
    [
      'a broken grant scope template',
      eventOf(1, U1),
      { ...RULE, grants: [{ scope: 'x', user: '{userId}' }] },
      { code: 'template_invalid', path: '/rule/grants/0' },
    ],
    [
      'a broken grant user template',
      eventOf(1, U1),
      { ...RULE, grants: [{ scope: 'x:y', user: '{' }] },
      { code: 'template_invalid', path: '/rule/grants/0' },
    ],
    [
      'a grant without scope',
      eventOf(1, { userId: 'u1', status: 'active' }),
      ENROLLMENT,
      { code: 'grant_unrenderable', path: '/rule/grants/0' },
    ],
    [
      'a grant without user',
      eventOf(1, U1),
      { ...RULE, grants: [{ scope: 'x:y', user: '{nobody}' }] },
      { code: 'grant_unrenderable', path: '/rule/grants/0' },
    ],
  ])('%s', (_name, event, rule, expected) => {
    expect(projectEvent(null, event, rule)).toEqual({ kind: 'poison', ...expected });
  });

  it('a clock that outgrows its bounds', () => {
    const wide = Object.fromEntries(Array.from({ length: 256 }, (_, index) => [`d:${index}`, 1]));
    const full = { ...headAfter(RULE, U1), clock: wide };
    const poison = { kind: 'poison', code: 'clock_limit_exceeded', path: '/clock' };
    expect(projectEvent(full, eventOf(2, U1, { clock: { 's:x': 1 } }), RULE)).toEqual(poison);
    expect(projectEvent(full, eventOf(2, U1, { clock: { 'd:0': 2 } }), RULE)).toMatchObject({
      kind: 'changed',
    });
    const used = { ...full, clock: { 's:learning': Number.MAX_SAFE_INTEGER } };
    expect(projectEvent(used, eventOf(2, U1), RULE)).toEqual(poison);
  });

  it('says nothing of errors that are ours', () => {
    const broken = { ...RULE, scopes: undefined as unknown as string[] };
    expect(() => projectEvent(null, eventOf(1, U1), broken)).toThrow(TypeError);
  });
});
