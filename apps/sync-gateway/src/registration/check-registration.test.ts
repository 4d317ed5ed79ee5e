import { describe, expect, it } from '@jest/globals';
import type { EntityTypeRegistration } from '@sync/protocol';
import { findContradictions } from './check-registration.ts';

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
