import { describe, expect, it } from '@jest/globals';
import type { EntityTypeRegistration } from '@sync/protocol';
import { covers, findContradictions } from './check-registration.ts';

const base: EntityTypeRegistration = {
  entityType: 'note',
  schemaVersion: 1,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
};
const document: EntityTypeRegistration = {
  ...base,
  policy: 'crdt_yjs',
  projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'], docUpdateField: 'body' },
};
const grant = { scope: 'course:{courseId}', user: '{userId}' };

function projectedTo(scope: string): Partial<EntityTypeRegistration> {
  return { projection: { kind: 'declarative', fields: '*', scopes: [scope] } };
}

describe('findContradictions', () => {
  it.each<[string, EntityTypeRegistration]>([
    ['last writer wins', base],
    ['last writer wins with review', { ...base, review: 'collisions' }],
    ['a document', document],
    ['grants', { ...base, grants: [grant] }],
    ['a remote projector', { ...base, projection: { kind: 'remote', subject: 'notes.project' } }],
    [
      'a chain of upcasters',
      {
        ...base,
        schemaVersion: 3,
        upcasters: [
          { from: 2, subject: 'sync.upcast.v1.notes.note' },
          { from: 1, steps: [] },
        ],
      },
    ],
    ['its own push subject', { ...base, pushSubject: 'sync.push.v1.notes.note' }],
  ])('accepts %s', (_name, registration) => {
    expect(findContradictions({ service: 'notes', entityTypes: [registration] })).toEqual([]);
  });

  it.each<[string, Partial<EntityTypeRegistration>, string]>([
    ['review of appends', { policy: 'append_only', review: 'collisions' }, '/review'],
    ['review of the server’s word', { policy: 'server_authoritative', review: 'collisions' }, '/review'],
    ['a document without its field', { policy: 'crdt_yjs' }, '/projection/docUpdateField'],
    [
      'a document field without a document',
      { projection: document.projection },
      '/projection/docUpdateField',
    ],
    [
      'the document among the fields',
      {
        policy: 'crdt_yjs',
        projection: {
          kind: 'declarative',
          fields: ['body'],
          scopes: ['user:{userId}'],
          docUpdateField: 'body',
        },
      },
      '/projection/fields',
    ],
    [
      'the same scope twice',
      { projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}', 'user:{userId}'] } },
      '/projection/scopes/1',
    ],
    [
      'an unpaired brace',
      { projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId'] } },
      '/projection/scopes/0',
    ],
    ['a granted user scope', { grants: [{ ...grant, scope: 'user:{userId}' }] }, '/grants/0/scope'],
    [
      'a value that nobody can store',
      { grants: [{ ...grant, when: { field: 'status', in: ['\ud800'] } }] },
      '/grants/0/when/in/0',
    ],
    ['a wildcard to push to', { pushSubject: 'notes.push.>' }, '/pushSubject'],
    ['a subject of sync-service to push to', { pushSubject: 'sync.registry.v1.register' }, '/pushSubject'],
    ['another owner’s push subject', { pushSubject: 'sync.push.v1.other.note' }, '/pushSubject'],
    ['an upcaster of the registered version', { upcasters: [{ from: 1, steps: [] }] }, '/upcasters/0/from'],
    ['a gap in the chain', { schemaVersion: 3, upcasters: [{ from: 1, steps: [] }] }, '/upcasters/0/from'],
    [
      'another owner’s upcasters',
      { schemaVersion: 2, upcasters: [{ from: 1, subject: 'sync.upcast.v1.other.note' }] },
      '/upcasters/0/subject',
    ],
    ['one user in a projection', projectedTo('user:x'), '/projection/scopes/0'],
    [
      'one user beside the right one',
      { projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}', 'user:x'] } },
      '/projection/scopes/1',
    ],
    ['another service to push to', { pushSubject: 'other.app.command' }, '/pushSubject'],
    ['a service whose name begins alike', { pushSubject: 'notes2.push' }, '/pushSubject'],
    ['all subjects to listen to', { eventSubjects: ['sync.>'] }, '/eventSubjects/0'],
    ['what others publish', { eventSubjects: ['notes.events', 'shop.orders.*'] }, '/eventSubjects/1'],
    ['a service anywhere to listen to', { eventSubjects: ['*.events'] }, '/eventSubjects/0'],
    [
      'another service’s projector',
      { projection: { kind: 'remote', subject: 'other.project' } },
      '/projection/subject',
    ],
    ['a subject of NATS itself', { snapshotSubject: '_INBOX.x.y' }, '/snapshotSubject'],
  ])('finds %s', (_name, changes, path) => {
    const faults = findContradictions({ service: 'notes', entityTypes: [{ ...base, ...changes }] });
    expect(faults).toEqual([{ path: `/entityTypes/0${path}`, message: expect.any(String) }]);
  });

  it('finds a service whose entry in clocks would be that of folded devices', () => {
    expect(findContradictions({ service: 'folded', entityTypes: [base] })).toMatchObject([
      { path: '/service' },
    ]);
  });

  it('finds a type that stands twice', () => {
    expect(findContradictions({ service: 'notes', entityTypes: [base, base] })).toMatchObject([
      { path: '/entityTypes/1/entityType' },
    ]);
  });
});

describe('subjects that operators allow', () => {
  const faultsOf = (pushSubject: string, allowed: readonly string[]): unknown =>
    findContradictions({ service: 'notes', entityTypes: [{ ...base, pushSubject }] }, allowed);

  it('may be named', () => {
    expect(faultsOf('legacy.notes.push', ['legacy.notes.>'])).toEqual([]);
    expect(faultsOf('legacy.push', ['legacy.push'])).toEqual([]);
    expect(faultsOf('legacy.orders.push', ['legacy.notes.>'])).toHaveLength(1);
  });

  it.each([
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.b.c', false],
    ['a.*', 'a.>', false],
    ['a.*', 'a.*', true],
    ['a.b', 'a.*', false],
    ['a.>', 'a.>', true],
    ['*.b', 'a.b', true],
    ['a.b.c', 'a.b', false],
  ])('%s covers %s: %s', (pattern, subject, expected) => {
    expect(covers(pattern, subject)).toBe(expected);
  });
});
