import { describe, expect, it } from '@jest/globals';
import type { TSchema } from 'typebox';
import { DeltaBatch, joinDeltaLines, parseDeltaBatch, splitDeltaLines } from './delta-batch.ts';
import { DomainEvent } from './domain-event.ts';
import { OwnerPushReply, OwnerPushRequest } from './owner-api.ts';
import { EntityTypeRegistration, SyncRegistration } from './registration.ts';
import { SYNC_EVENT_DATA } from './sync-events.ts';
import { validator } from './validate.ts';

const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const AT = '2024-01-01T00:00:00.000Z';
const fits = (schema: TSchema, value: unknown): boolean => validator(schema)(value).ok;

const note = {
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  review: 'collisions',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
};

describe('SyncRegistration', () => {
  it('takes the entity types of a service', () => {
    expect(fits(SyncRegistration, { service: 'learning', entityTypes: [note] })).toBe(true);
    expect(fits(SyncRegistration, { service: 'learning', entityTypes: [] })).toBe(false);
    expect(fits(SyncRegistration, { service: 'Learning', entityTypes: [note] })).toBe(false);
  });

  it.each([
    ['user:{userId}', true],
    ['user:{actor.account.name}', true],
    ['course:{entityId}', true],
    ['tenant:all', true],
    ['course:{courseId}-{part}', true],
    ['{kind}:{id}', false],
    ['user:', false],
    ['user:{}', false],
    ['user:{a b}', false],
    ['user:{a..b}', false],
    ['user:{a', false],
    ['user:*', false],
  ])('scope template %s: %s', (template, good) => {
    const projection = { kind: 'declarative', fields: ['title'], scopes: [template] };
    expect(fits(EntityTypeRegistration, { ...note, projection })).toBe(good);
  });

  it('takes grants and a remote projector, and no unknown policy', () => {
    const grants = [
      {
        scope: 'course:{courseId}',
        user: '{userId}',
        when: { field: 'state.kind', in: ['active', 1, null] },
      },
    ];
    expect(fits(EntityTypeRegistration, { ...note, grants })).toBe(true);
    expect(
      fits(EntityTypeRegistration, {
        ...note,
        projection: { kind: 'remote', subject: 'learning.project.v1' },
      }),
    ).toBe(true);
    expect(fits(EntityTypeRegistration, { ...note, policy: 'crdt' })).toBe(false);
    expect(fits(EntityTypeRegistration, { ...note, review: 'all' })).toBe(false);
  });
});

describe('push to the owning service', () => {
  const pushed = {
    mutationId: UUID,
    userId: 'u1',
    deviceId: 'dev-1',
    scope: 'user:u1',
    entityType: 'note',
    entityId: 'n1',
    op: 'put',
    data: { text: 'x' },
    clock: { 'd:dev-1': 1 },
    expectedRevision: 0,
    occurredAt: AT,
    schemaVersion: 1,
  };

  it('is a batch of decided mutations', () => {
    expect(fits(OwnerPushRequest, { tenantId: 't1', mutations: [pushed] })).toBe(true);
    expect(fits(OwnerPushRequest, { tenantId: 't1', mutations: [] })).toBe(false);
    expect(fits(OwnerPushRequest, { tenantId: 't1', mutations: [{ ...pushed, expectedRevision: -1 }] })).toBe(
      false,
    );
  });

  it('is answered applied, rejected or conflict', () => {
    const current = { revision: 3, data: null, deleted: true };
    const results = [
      { mutationId: UUID, status: 'applied', revision: 1, clock: { 's:learning': 1 } },
      { mutationId: UUID, status: 'rejected', code: 'forbidden' },
      { mutationId: UUID, status: 'conflict', current },
    ];
    expect(fits(OwnerPushReply, { results })).toBe(true);
    for (const bad of [
      { mutationId: UUID, status: 'applied' },
      { mutationId: UUID, status: 'rejected', code: 'Not Allowed' },
      { mutationId: UUID, status: 'conflict' },
      { mutationId: UUID, status: 'accepted' },
    ]) {
      expect(fits(OwnerPushReply, { results: [bad] })).toBe(false);
    }
  });
});

describe('DomainEvent', () => {
  const event = {
    specversion: '1.0',
    id: 'e1',
    source: '/learning',
    type: 'note.changed',
    time: AT,
    tenantid: 't1',
    entitytype: 'note',
    entityid: 'n1',
    revision: 2,
    data: { text: 'x' },
  };

  it('is a CloudEvent with our attributes; further attributes are fine', () => {
    expect(fits(DomainEvent, event)).toBe(true);
    expect(fits(DomainEvent, { ...event, traceparent: '00-…', entityop: 'delete', data: null })).toBe(true);
    expect(fits(DomainEvent, { ...event, specversion: '0.3' })).toBe(false);
    expect(fits(DomainEvent, { ...event, revision: '2' })).toBe(false);
    expect(fits(DomainEvent, { ...event, data: [] })).toBe(false);
  });
});

describe('sync events', () => {
  it('carry data of their own shape', () => {
    const mutations = [{ mutationId: UUID, entityType: 'note', entityId: 'n1', status: 'applied' }];
    expect(fits(SYNC_EVENT_DATA['sync.mutation.applied.v1'], { mutations })).toBe(true);
    expect(fits(SYNC_EVENT_DATA['sync.mutation.applied.v1'], { scope: 'user:u1' })).toBe(false);
    const counted = {
      counts: { applied: 2, rejected: 1 },
      mutations: [{ mutationId: UUID, status: 'rejected' }],
    };
    expect(fits(SYNC_EVENT_DATA['sync.push.completed.v1'], counted)).toBe(true);
    expect(fits(SYNC_EVENT_DATA['sync.push.completed.v1'], { mutations })).toBe(false);
    expect(fits(SYNC_EVENT_DATA['sync.device.stale.v1'], { reasons: ['unseen'] })).toBe(true);
  });

  it('are named sync.<thing>.<what happened>.v1', () => {
    for (const type of Object.keys(SYNC_EVENT_DATA)) expect(type).toMatch(/^sync\.[a-z]+\.[a-z]+\.v1$/);
  });
});

describe('DeltaBatch', () => {
  it('carries scope heads, deltas and grants', () => {
    const wire = {
      entityType: 'note',
      entityId: 'n1',
      op: 'put',
      clock: {},
      schemaVersion: 1,
      committedAt: AT,
      data: {},
    };
    const batch = {
      origin: 'eu',
      committedAt: AT,
      scopes: [
        { tenantId: 't1', scope: 'user:u1', epoch: 'e1', sequence: '7', count: 1, hash: '0'.repeat(64) },
      ],
      deltas: [
        {
          tenantId: 't1',
          scope: 'user:u1',
          sequence: '7',
          entityType: 'note',
          entityId: 'n1',
          revision: 1,
          deleted: false,
          clock: {},
          fieldWrites: null,
        },
      ],
      wires: [wire],
      grants: [
        {
          tenantId: 't1',
          userId: 'u1',
          scope: 'course:c1',
          granted: true,
          sourceType: 'enrollment',
          sourceId: 'x',
          revision: 1,
        },
      ],
    };
    expect(validator(DeltaBatch)(batch)).toEqual({ ok: true, value: batch });
    const { deltas, wires, ...head } = batch;
    const payload = joinDeltaLines({
      head: JSON.stringify(head),
      deltas: JSON.stringify(deltas),
      wires: wires.map((one) => JSON.stringify({ ...one, data: { text: 'two\nlines' } })),
    });
    expect(parseDeltaBatch(payload)).toEqual({
      ...batch,
      wires: [{ ...wire, data: { text: 'two\nlines' } }],
    });
    expect(payload.split('\n')).toHaveLength(3);
  });

  it('carries grants without deltas', () => {
    const head = { origin: 'eu', committedAt: null, scopes: [], grants: [] };
    const payload = joinDeltaLines({ head: JSON.stringify(head), deltas: '[]', wires: [] });
    expect(parseDeltaBatch(payload)).toEqual({ ...head, deltas: [], wires: [] });
    expect(() => splitDeltaLines('{}')).toThrow(TypeError);
  });
});
