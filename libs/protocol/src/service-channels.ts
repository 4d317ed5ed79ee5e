import Type from 'typebox';
import { DeltaBatch } from './delta-batch.ts';
import { DomainEvent } from './domain-event.ts';
import { DeviceBindingReply, DeviceBindingRequest, DeviceRevokedNotice } from './device-binding-api.ts';
import {
  OwnerPushReply,
  OwnerPushRequest,
  RegisterReply,
  RemoteProjectionReply,
  RemoteProjectionRequest,
  SnapshotPage,
  SnapshotRequest,
  UpcastReply,
  UpcastRequest,
} from './owner-api.ts';
import { PLATFORM_APPS } from './parties.ts';
import { SyncRegistration } from './registration.ts';
import { subjects } from './subjects.ts';
import { SYNC_EVENT_DATA, SyncEventEnvelope } from './sync-events.ts';
import { batchOf, named, type NatsChannel, request } from './nats-channel.ts';

const SYNC_EVENTS = Object.entries(SYNC_EVENT_DATA).map(([type, data]) =>
  Type.Object({ ...SyncEventEnvelope.properties, type: Type.Literal(type), data }, { $id: eventId(type) }),
);

/** `sync.mutation.applied.v1` → `SyncMutationAppliedV1` */
function eventId(type: string): string {
  return type.replace(/(^|\.)([a-z])/g, (_match, _dot, letter: string) => letter.toUpperCase());
}

/** What is written to JetStream. */
export const STREAM_CHANNELS: readonly NatsChannel[] = [
  {
    kind: 'stream',
    name: 'domainEvents',
    senders: ['owner'],
    receivers: ['delta-projector'],
    address: subjects.streamMessage('DOMAIN_EVENTS', '{partition}', '{producer}'),
    summary: 'Domain events of owning services on the SDK: a batch of CloudEvents, numbered.',
    audience: 'public',
    messages: [batchOf('DomainEventBatch', DomainEvent)],
  },
  {
    kind: 'stream',
    name: 'plainDomainEvents',
    senders: ['owner'],
    receivers: ['delta-projector'],
    address: subjects.plainEvents('{service}', '{entityType}'),
    summary:
      'One domain event of a service without the SDK: no numbers; deduplicated by entity and revision, ' +
      'healed by snapshots.',
    audience: 'public',
    messages: [named('DomainEventMessage', DomainEvent)],
  },
  {
    kind: 'stream',
    name: 'deltas',
    senders: ['delta-projector'],
    receivers: ['sync-gateway'],
    address: subjects.streamMessage('DELTAS', '{partition}', '{producer}'),
    summary: 'What the projector did to the scopes of a partition in one transaction.',
    audience: 'internal',
    messages: [named('DeltaBatchMessage', DeltaBatch)],
  },
  {
    kind: 'stream',
    name: 'syncEvents',
    senders: PLATFORM_APPS,
    receivers: ['device-health', 'conflict-resolver', 'reader'],
    address: subjects.streamMessage('SYNC_EVENTS', '{partition}', '{producer}'),
    summary: 'What happened in sync: a batch of CloudEvents, also the analytics firehose.',
    audience: 'public',
    messages: [
      batchOf(
        'SyncEventBatch',
        Type.Union(SYNC_EVENTS, {
          'x-open': true,
          description: 'May grow within v1: a consumer ignores types that it does not know.',
        }),
      ),
    ],
  },
];

/** Between the platform and services: owners of entity types, and the identity service. */
export const OWNER_CHANNELS: readonly NatsChannel[] = [
  request('push', subjects.push('{service}', '{entityType}'), 'public', OwnerPushRequest, OwnerPushReply, {
    senders: ['sync-gateway', 'conflict-resolver'],
    receivers: ['owner'],
    summary:
      'Mutations for the owning service: idempotent by mutationId, compare-and-set on expectedRevision.',
  }),
  request(
    'snapshot',
    subjects.snapshot('{service}', '{entityType}'),
    'public',
    SnapshotRequest,
    SnapshotPage,
    {
      senders: ['delta-projector'],
      receivers: ['owner'],
      summary: 'All entities of a type, page by page, for backfill and rebuild.',
    },
  ),
  request('upcast', subjects.upcast('{service}', '{entityType}'), 'public', UpcastRequest, UpcastReply, {
    senders: ['sync-gateway'],
    receivers: ['owner'],
    summary:
      'Data of mutations that were written under an older schema version, to be lifted to the next: where ' +
      'a registration names no steps.',
  }),
  request('registerAs', subjects.registerAs('{service}'), 'public', SyncRegistration, RegisterReply, {
    senders: ['owner'],
    receivers: ['sync-gateway'],
    summary: 'An owning service registers its entity types under its own name; repeating it changes nothing.',
  }),
  request('register', subjects.register, 'public', SyncRegistration, RegisterReply, {
    senders: [],
    receivers: ['sync-gateway'],
    summary:
      'The same without a name in the subject. Only while SERVICE_RIGHTS_FILE is not set: nobody can tell ' +
      'who sends it.',
  }),
  request(
    'remoteProjection',
    '{projectionSubject}',
    'public',
    RemoteProjectionRequest,
    RemoteProjectionReply,
    {
      senders: ['delta-projector'],
      receivers: ['owner'],
      summary: 'Asks a projector outside of the platform; its subject is part of the registration.',
    },
  ),
  request(
    'deviceBindingVerify',
    subjects.deviceBindingVerify,
    'public',
    DeviceBindingRequest,
    DeviceBindingReply,
    {
      senders: ['sync-gateway'],
      receivers: ['identity'],
      summary: 'Answered by the identity service: whether a device is bound, and its HMAC key.',
    },
  ),
  {
    kind: 'notice',
    name: 'deviceBindingRevoked',
    senders: ['identity'],
    receivers: ['sync-gateway'],
    address: subjects.deviceBindingRevoked,
    summary: 'The identity service revoked a device: every gateway drops it at once.',
    audience: 'public',
    messages: [named('DeviceRevokedNoticeMessage', DeviceRevokedNotice)],
  },
];
