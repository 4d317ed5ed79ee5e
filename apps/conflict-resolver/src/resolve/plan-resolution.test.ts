import type { Resolution } from '@sync/protocol';
import fc from 'fast-check';
import type { ConflictRow } from '../records/conflict-store.ts';
import { DRAFT } from '../testing/conflict-rig.ts';
import {
  changeOf,
  clockWithout,
  pushOf,
  requestHashOf,
  type ResolutionRequest,
  suggestedChange,
} from './plan-resolution.ts';

const KEEP: Resolution = { kind: 'keep_client' };
const ROW: ConflictRow = {
  ...{ conflictId: 'c1', userId: 'u1', deviceId: 'a', scope: 'user:u1', entityType: 'note', entityId: 'n1' },
  ...{
    mutationId: 'm1',
    policy: 'lww',
    status: 'open',
    detectedAt: '',
    resolvedAt: null,
    decision: null,
    decider: null,
  },
  draft: DRAFT,
};
const REQUEST = {
  ...{
    tenantId: 't',
    userId: 'u1',
    deviceId: 'b',
    conflictId: 'c1',
    resolution: KEEP,
    expectedClock: { 'd:b': 4 },
  },
  target: {
    ...{ service: 'learning', pushSubject: 's', schemaVersion: 3, policy: 'lww' as const },
    ...{ revision: 7, clock: { 'd:b': 4 }, data: { text: 'server' } },
  },
} satisfies ResolutionRequest;
const AT = { attempt: 1, nowIso: '2026-01-01T00:00:00.000Z' };

describe('keep_client', () => {
  it.each([
    ['a patch as sent', {}, { op: 'patch', data: { text: 'client' } }],
    ['a put as sent', { op: 'put' as const }, { op: 'put', data: { text: 'client' } }],
    ['a delete', { op: 'delete' as const, theirs: null }, { op: 'delete', data: null }],
    [
      'a document update',
      { op: 'merge' as const, theirs: null, theirsUpdate: 'AAA=' },
      { op: 'merge', update: 'AAA=' },
    ],
    [
      'what an older version was lifted to',
      { theirsLifted: { body: 'x' } },
      { op: 'patch', data: { body: 'x' } },
    ],
  ])('carries out %s', (_name, changes, change) => {
    expect(changeOf({ ...DRAFT, ...changes }, KEEP)).toMatchObject(change);
  });

  it('sets the fields that a draft without its op names', () => {
    const { op: _op, ...old } = DRAFT;
    expect(changeOf(old, KEEP)).toMatchObject({ op: 'patch', data: { text: 'client' } });
  });
});

describe('a suggestion', () => {
  it('sets what it names; only when it takes something away, or nothing is there, the whole entity is put', () => {
    const set = { text: 'proposed' };
    expect(suggestedChange({ text: 'a', colour: 'b' }, { set, remove: [] })).toMatchObject({
      op: 'patch',
      data: set,
    });
    expect(suggestedChange({ text: 'a', colour: 'b' }, { set, remove: ['colour'] })).toMatchObject({
      op: 'put',
      data: set,
    });
    expect(suggestedChange(null, { set, remove: [] })).toMatchObject({ op: 'put', data: set });
  });
});

describe('the mutation of a resolution', () => {
  const change = { op: 'patch' as const, data: { text: 'x' }, update: null };

  it('expects the state that the person saw and takes no counter of a device', () => {
    expect(pushOf(ROW, REQUEST, change, AT)).toMatchObject({
      ...{ userId: 'u1', deviceId: 'b', scope: 'user:u1', entityType: 'note', entityId: 'n1' },
      ...{ expectedRevision: 7, clock: { 'd:b': 4 }, schemaVersion: 3, op: 'patch', data: { text: 'x' } },
    });
  });

  it('carries an update out as its device’s, whoever keeps it: its clientIDs are bound to that device', () => {
    const merge = { op: 'merge' as const, data: null, update: 'AAA=' };
    const target = { ...REQUEST.target, policy: 'crdt_yjs' as const };
    expect(pushOf(ROW, { ...REQUEST, target }, merge, AT)).toMatchObject({ deviceId: 'a' });
    const merged = { kind: 'merged' as const, update: 'AAA=' };
    const own = { ...REQUEST, target, resolution: merged };
    expect(pushOf(ROW, own, merge, AT)).toMatchObject({ deviceId: 'b' });
  });

  it('leaves the clock one change of the service further where its owner keeps none', () => {
    const mutation = pushOf(ROW, REQUEST, change, AT);
    if ('code' in mutation) throw new Error(mutation.code);
    expect(clockWithout({ mutation, service: 'learning' })).toEqual({ 'd:b': 4, 's:learning': 1 });
  });

  it('has an id that follows from conflict, request and attempt, and from nothing else', () => {
    const idOf = (changes: Partial<ResolutionRequest> = {}, attempt = 1, row = ROW): string => {
      const push = pushOf(row, { ...REQUEST, ...changes, target: REQUEST.target }, change, {
        ...AT,
        attempt,
      });
      return 'mutationId' in push ? push.mutationId : push.code;
    };
    const same = idOf();
    expect(idOf({ expectedClock: { 'd:z': 0, 'd:b': 4 } })).toBe(same);
    const others = [
      idOf({ deviceId: 'c' }),
      idOf({ userId: 'u2' }),
      idOf({ resolution: { kind: 'merged', data: {} } }),
      idOf({ expectedClock: { 'd:b': 5 } }),
      idOf({}, 2),
      idOf({}, 1, { ...ROW, conflictId: 'c2' }),
    ];
    expect(new Set([same, ...others]).size).toBe(7);
  });
});

describe('the hash of a request', () => {
  it('does not depend on the order of keys, and on everything else', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (data, other) => {
        const hashOf = (value: unknown): string =>
          requestHashOf({
            ...REQUEST,
            resolution: { kind: 'merged', data: value as Record<string, unknown> },
          });
        const reversed = Object.fromEntries(Object.entries(data).reverse());
        expect(hashOf(reversed)).toBe(hashOf(data));
        expect(hashOf({ ...data, 'one more': other })).not.toBe(hashOf(data));
      }),
    );
  });
});
