import { describe, expect, it } from '@jest/globals';
import type { TSchema } from 'typebox';
import {
  AckRequest,
  AckResponse,
  LocalMutation,
  Outcome,
  PullRequest,
  PullResponse,
  PushEnvelope,
  PushRequest,
  RemoteDelta,
} from './device-api.ts';
import { LIMITS } from './limits.ts';
import { validator } from './validate.ts';

const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const AT = '2024-01-01T00:00:00.000Z';
const HASH = '0'.repeat(64);

const delta = {
  entityType: 'note',
  entityId: 'n1',
  op: 'put',
  clock: { 'd:dev-1': 2, 's:learning': 1 },
  schemaVersion: 1,
  committedAt: AT,
  data: { userId: 'u1', text: 'x' },
};
const mutation = {
  mutationId: UUID,
  sequence: 1,
  scope: 'user:u1',
  entityType: 'note',
  entityId: 'n1',
  op: 'put',
  data: { text: 'x' },
  baseClock: {},
  occurredAt: AT,
  schemaVersion: 1,
  dependsOn: [UUID],
};
const repeat = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

const fits = (schema: TSchema, value: unknown): boolean => validator(schema)(value).ok;
const pathsOf = (schema: TSchema, value: unknown): string[] => {
  const result = validator(schema)(value);
  return result.ok ? [] : result.faults.map(({ path }) => path);
};

describe('UUIDs', () => {
  it('take capitals from a device, everywhere', () => {
    const sent = { ...mutation, mutationId: UUID.toUpperCase(), dependsOn: [UUID.toUpperCase()] };
    expect(fits(PushEnvelope, { sentAt: AT, mutations: [sent] })).toBe(true);
    expect(fits(LocalMutation, sent)).toBe(true);
    expect(fits(AckRequest, { outcomes: [UUID.toUpperCase()] })).toBe(true);
  });

  it('are answered in lower case', () => {
    expect(fits(Outcome, { mutationId: UUID, status: 'applied' })).toBe(true);
    expect(fits(Outcome, { mutationId: UUID.toUpperCase(), status: 'applied' })).toBe(false);
  });
});

describe('the examples of the contract', () => {
  it.each<[string, TSchema, unknown]>([
    ['an empty pull', PullRequest, {}],
    [
      'a pull',
      PullRequest,
      {
        scopes: [{ scope: 'user:u1', cursor: null }],
        limit: 500,
        waitMs: 30_000,
        backlog: { pending: 3, oldestAt: AT },
      },
    ],
    [
      'its answer',
      PullResponse,
      {
        serverTime: AT,
        scopes: [
          {
            scope: 'user:u1',
            reset: false,
            deltas: [delta],
            cursor: 'abc',
            hasMore: false,
            digest: { count: 1, hash: HASH },
          },
        ],
        revoked: ['course:c9'],
        outcomes: [{ mutationId: UUID, status: 'applied' }],
        directives: [{ kind: 'full_resync', scopes: ['user:u1'] }],
      },
    ],
    ['a deletion', RemoteDelta, { ...delta, op: 'delete', data: null }],
    ['a Yjs merge', RemoteDelta, { ...delta, op: 'merge', update: 'AAAA' }],
    ['a push', PushRequest, { sentAt: AT, mutations: [mutation], backlog: { pending: 0, oldestAt: null } }],
    [
      'a mutation without what has a default',
      LocalMutation,
      {
        mutationId: UUID,
        sequence: 0,
        scope: 'user:u1',
        entityType: 'note',
        entityId: 'n1',
        op: 'delete',
        occurredAt: AT,
      },
    ],
    [
      'a rejection',
      Outcome,
      { mutationId: UUID, status: 'rejected', code: 'forbidden', message: 'no', current: delta },
    ],
    [
      'an ack',
      AckRequest,
      {
        cursors: [{ scope: 'user:u1', cursor: 'abc', digest: { count: 0, hash: HASH } }],
        outcomes: [UUID],
        purged: ['course:c9'],
      },
    ],
    ['its answer', AckResponse, { serverTime: AT, cursors: [{ scope: 'user:u1', status: 'stale' }] }],
  ])('%s', (_what, schema, value) => {
    expect(validator(schema)(value)).toEqual({ ok: true, value });
  });
});

describe('unknown values', () => {
  it('of fields are left alone, of enums are refused with their path', () => {
    expect(fits(PushRequest, { sentAt: AT, mutations: [{ ...mutation, later: 1 }], newField: true })).toBe(
      true,
    );
    expect(
      pathsOf(PushRequest, { sentAt: AT, mutations: [mutation, { ...mutation, op: 'upsert' }] }),
    ).toEqual(['/mutations/1/op']);
    expect(pathsOf(LocalMutation, { ...mutation, op: 'PUT' })).toEqual(['/op']);
  });
});

describe('limits', () => {
  it.each<[string, TSchema, (count: number) => unknown, number]>([
    [
      'mutations a push',
      PushRequest,
      (count) => ({ sentAt: AT, mutations: repeat(count, mutation) }),
      LIMITS.mutationsPerPush,
    ],
    [
      'mutations a push, seen from outside',
      PushEnvelope,
      (count) => ({ sentAt: AT, mutations: repeat(count, mutation) }),
      LIMITS.mutationsPerPush,
    ],
    ['deltas a pull', PullRequest, (limit) => ({ limit }), LIMITS.deltasPerPull],
    [
      'scopes a pull',
      PullRequest,
      (count) => ({ scopes: repeat(count, { scope: 'user:u1' }) }),
      LIMITS.scopesPerPull,
    ],
    ['milliseconds to wait', PullRequest, (waitMs) => ({ waitMs }), LIMITS.waitMs],
    ['outcomes an ack', AckRequest, (count) => ({ outcomes: repeat(count, UUID) }), LIMITS.outcomesPerAck],
    [
      'dependencies a mutation',
      LocalMutation,
      (count) => ({ ...mutation, dependsOn: repeat(count, UUID) }),
      LIMITS.dependsOnPerMutation,
    ],
  ])('%s', (_what, schema, make, limit) => {
    expect(fits(schema, make(limit))).toBe(true);
    expect(fits(schema, make(limit + 1))).toBe(false);
  });

  it.each([0, -1, 1.5, '10', Number.MAX_SAFE_INTEGER + 2])('refuses a page of %s deltas', (limit) => {
    expect(pathsOf(PullRequest, { limit })).toEqual(['/limit']);
  });
});

describe('PushEnvelope', () => {
  it('takes a bad mutation as long as it can be answered by its id', () => {
    const bad = { mutationId: UUID, op: 'put', entityType: 5 };
    expect(fits(PushEnvelope, { sentAt: AT, mutations: [bad, mutation] })).toBe(true);
    expect(fits(PushRequest, { sentAt: AT, mutations: [bad, mutation] })).toBe(false);
    expect(pathsOf(PushEnvelope, { sentAt: AT, mutations: [{ op: 'put' }] })).toEqual([
      '/mutations/0/mutationId',
    ]);
  });
});

describe('64-bit positions', () => {
  it('never travel as numbers', () => {
    expect(pathsOf(AckRequest, { cursors: [{ scope: 'user:u1', cursor: 5 }] })).toEqual([
      '/cursors/0/cursor',
    ]);
    expect(pathsOf(PullRequest, { scopes: [{ scope: 'user:u1', cursor: 5 }] })).toEqual(['/scopes/0/cursor']);
  });
});
