/**
 * Every NATS subject of the platform as data: AsyncAPI is generated from this list, and a test compares it
 * with `subjects`.
 */
import Type, { type TSchema } from 'typebox';
import {
  DeadLetterReplayReply,
  DeadLetterReplayRequest,
  DeadLettersReply,
  DeadLettersRequest,
  DevicesReply,
  DevicesRequest,
  ExplainReply,
  ExplainRequest,
} from './admin-api.ts';
import {
  ConflictHistoryReply,
  ConflictHistoryRequest,
  ConflictResolveReply,
  ConflictResolveRequest,
  ConflictShowReply,
  ConflictShowRequest,
  ConflictVerifyReply,
  ConflictVerifyRequest,
  ConflictsReply,
  ConflictsRequest,
} from './conflict-api.ts';
import { DeletedDataReply, DeletedDataRequest } from './deleted-data-api.ts';
import { DeltaBatch } from './delta-batch.ts';
import { DomainEvent } from './domain-event.ts';
import { FaultRequest, FaultState } from './fault-api.ts';
import { RelayHead, ReplayPageHead, ReplayRequest } from './hop-api.ts';
import {
  DeviceBindingReply,
  DeviceBindingRequest,
  DeviceRevokedNotice,
  OwnerPushReply,
  OwnerPushRequest,
  RegisterReply,
  RegistryListReply,
  RegistryListRequest,
  RemoteProjectionReply,
  RemoteProjectionRequest,
  SnapshotPage,
  SnapshotRequest,
  UpcastReply,
  UpcastRequest,
} from './owner-api.ts';
import { SyncRegistration } from './registration.ts';
import { Count, TenantId } from './scalars.ts';
import { subjects } from './subjects.ts';
import {
  SuggestionReply,
  SuggestionRequest,
  SuggestionSettingsReply,
  SuggestionSettingsRequest,
} from './suggestion.ts';
import { SYNC_EVENT_DATA, SyncEventEnvelope } from './sync-events.ts';

interface ChannelBase {
  /** Key in the document. */
  readonly name: string;
  /** The subject with its variable tokens in braces. */
  readonly address: string;
  readonly summary: string;
  /**
   * `public`: frozen, any owning service may rely on it. `internal`: between our apps, versioned with the
   * code.
   */
  readonly audience: 'public' | 'internal';
}

/** A JetStream message, numbered by its producer's relay. */
export interface StreamChannel extends ChannelBase {
  readonly kind: 'stream';
  readonly messages: readonly NamedSchema[];
}

/** A core NATS message to whoever listens; losing one costs time, never data. */
export interface NoticeChannel extends ChannelBase {
  readonly kind: 'notice';
  readonly messages: readonly NamedSchema[];
}

/** A core NATS request with one reply. */
export interface RequestChannel extends ChannelBase {
  readonly kind: 'request';
  readonly request: NamedSchema;
  readonly reply: NamedSchema;
}

export type NatsChannel = StreamChannel | NoticeChannel | RequestChannel;

export interface NamedSchema {
  readonly name: string;
  readonly schema: TSchema;
}

const named = (name: string, schema: TSchema): NamedSchema => ({ name, schema });

/** One outbox row is one message and carries a batch. */
const batchOf = (name: string, item: TSchema): NamedSchema => named(name, Type.Array(item, { minItems: 1 }));

const SYNC_EVENTS = Object.entries(SYNC_EVENT_DATA).map(([type, data]) =>
  Type.Object({ ...SyncEventEnvelope.properties, type: Type.Literal(type), data }, { $id: eventId(type) }),
);

/** `sync.mutation.applied.v1` → `SyncMutationAppliedV1` */
function eventId(type: string): string {
  return type.replace(/(^|\.)([a-z])/g, (_match, _dot, letter: string) => letter.toUpperCase());
}

const STREAM_CHANNELS: readonly NatsChannel[] = [
  {
    kind: 'stream',
    name: 'domainEvents',
    address: subjects.streamMessage('DOMAIN_EVENTS', '{partition}', '{producer}'),
    summary: 'Domain events of owning services on the SDK: a batch of CloudEvents, numbered.',
    audience: 'public',
    messages: [batchOf('DomainEventBatch', DomainEvent)],
  },
  {
    kind: 'stream',
    name: 'plainDomainEvents',
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
    address: subjects.streamMessage('DELTAS', '{partition}', '{producer}'),
    summary: 'What the projector did to the scopes of a partition in one transaction.',
    audience: 'internal',
    messages: [named('DeltaBatchMessage', DeltaBatch)],
  },
  {
    kind: 'stream',
    name: 'syncEvents',
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

const OWNER_CHANNELS: readonly NatsChannel[] = [
  request('push', subjects.push('{service}', '{entityType}'), 'public', OwnerPushRequest, OwnerPushReply, {
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
      summary: 'All entities of a type, page by page, for backfill and rebuild.',
    },
  ),
  request('upcast', subjects.upcast('{service}', '{entityType}'), 'public', UpcastRequest, UpcastReply, {
    summary:
      'Data of mutations that were written under an older schema version, to be lifted to the next: where ' +
      'a registration names no steps.',
  }),
  request('registerAs', subjects.registerAs('{service}'), 'public', SyncRegistration, RegisterReply, {
    summary: 'An owning service registers its entity types under its own name; repeating it changes nothing.',
  }),
  request('register', subjects.register, 'public', SyncRegistration, RegisterReply, {
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
    { summary: 'Asks a projector outside of the platform; its subject is part of the registration.' },
  ),
  request(
    'deviceBindingVerify',
    subjects.deviceBindingVerify,
    'public',
    DeviceBindingRequest,
    DeviceBindingReply,
    { summary: 'Answered by the identity service: whether a device is bound, and its HMAC key.' },
  ),
  {
    kind: 'notice',
    name: 'deviceBindingRevoked',
    address: subjects.deviceBindingRevoked,
    summary: 'The identity service revoked a device: every gateway drops it at once.',
    audience: 'public',
    messages: [named('DeviceRevokedNoticeMessage', DeviceRevokedNotice)],
  },
];

const CONFLICT_CHANNELS: readonly NatsChannel[] = [
  request('conflicts', subjects.conflicts, 'internal', ConflictsRequest, ConflictsReply, {
    summary: 'ConflictRecords of a tenant, or of one user.',
  }),
  request('conflictShow', subjects.conflictShow, 'internal', ConflictShowRequest, ConflictShowReply, {
    summary: 'One ConflictRecord with its history and suggestions.',
  }),
  request(
    'conflictResolve',
    subjects.conflictResolve,
    'internal',
    ConflictResolveRequest,
    ConflictResolveReply,
    {
      summary:
        'A person’s resolution: claimed, pushed to the owner, recorded. The resolver decides who wins.',
    },
  ),
  request(
    'conflictHistory',
    subjects.conflictHistory,
    'internal',
    ConflictHistoryRequest,
    ConflictHistoryReply,
    { summary: 'What happened to one ConflictRecord, oldest first.' },
  ),
  request('conflictVerify', subjects.conflictVerify, 'internal', ConflictVerifyRequest, ConflictVerifyReply, {
    summary: 'Walks the hash chain of a tenant’s history and names the first broken link.',
  }),
];

const INTERNAL_CHANNELS: readonly NatsChannel[] = [
  request('registryList', subjects.registryList, 'internal', RegistryListRequest, RegistryListReply, {
    summary: 'Every SyncRegistration, for apps that keep a copy.',
  }),
  notice(
    'registryChanged',
    subjects.registryChanged,
    'A registration changed: read the list again.',
    Type.Object({}),
  ),
  notice(
    'gatewayHint',
    subjects.gatewayHint,
    'Between replicas of the gateway: what changed and should be read again.',
    Type.Object({ from: Type.String(), news: Type.Object({}) }),
  ),
  request('explain', subjects.explain, 'internal', ExplainRequest, ExplainReply, {
    summary: 'What the projector knows about an entity.',
  }),
  request('deadLetters', subjects.deadLetters, 'internal', DeadLettersRequest, DeadLettersReply, {
    summary: 'Events that could not be projected.',
  }),
  request(
    'deadLetterReplay',
    subjects.deadLetterReplay,
    'internal',
    DeadLetterReplayRequest,
    DeadLetterReplayReply,
    { summary: 'Projects quarantined events again.' },
  ),
  request(
    'projectorRebuild',
    subjects.projectorRebuild,
    'internal',
    Type.Object({ tenantId: Type.Optional(TenantId) }),
    Type.Object({ tenants: Count }),
    { summary: 'Projects one tenant, or all, anew from the owners’ snapshots, under new epochs.' },
  ),
  request('deletedData', subjects.deletedData, 'internal', DeletedDataRequest, DeletedDataReply, {
    summary: 'What entities were before they were deleted, for edits that bring them back.',
  }),
  request('deviceHealth', subjects.deviceHealth, 'internal', DevicesRequest, DevicesReply, {
    summary: 'Devices of a tenant and their health.',
  }),
  ...CONFLICT_CHANNELS,
  request('suggestionRequest', subjects.suggestionRequest, 'internal', SuggestionRequest, SuggestionReply, {
    summary: 'A user asks for a suggestion how to merge; it is made in the background.',
  }),
  request(
    'suggestionSettings',
    subjects.suggestionSettings,
    'internal',
    SuggestionSettingsRequest,
    SuggestionSettingsReply,
    { summary: 'Whether a tenant has suggestions, their budgets, and what never leaves.' },
  ),
  notice(
    'relayHead',
    subjects.relayHead('{stream}', '{partition}', '{producer}'),
    'The last number that a relay gave, once a second.',
    RelayHead,
  ),
  request('replay', subjects.replay('{producer}'), 'internal', ReplayRequest, ReplayPageHead, {
    summary: 'Asks a producer for messages that did not arrive.',
  }),
  notice(
    'relayKick',
    subjects.relayKick('{producer}'),
    'Wakes a relay; the payload is empty.',
    Type.Object({}),
  ),
  notice(
    'storeProbe',
    subjects.storeProbe,
    'Stored in the stream SYNC_PROBE to learn whether JetStream stores at all; the payload is empty.',
    Type.Object({}),
  ),
  request('faults', subjects.faults('{service}'), 'internal', FaultRequest, FaultState, {
    summary:
      'For crash tests: ends the process at a named place. Only where FAULT_INJECTION is set, which ' +
      'production refuses.',
  }),
];

export const NATS_CHANNELS: readonly NatsChannel[] = [
  ...STREAM_CHANNELS,
  ...OWNER_CHANNELS,
  ...INTERNAL_CHANNELS,
];

function request(
  name: string,
  address: string,
  audience: ChannelBase['audience'],
  requestSchema: TSchema,
  replySchema: TSchema,
  { summary }: { readonly summary: string },
): RequestChannel {
  const title = name.slice(0, 1).toUpperCase() + name.slice(1);
  return {
    kind: 'request',
    name,
    address,
    summary,
    audience,
    request: named(`${title}Question`, requestSchema),
    reply: named(`${title}Answer`, replySchema),
  };
}

function notice(name: string, address: string, summary: string, schema: TSchema): NoticeChannel {
  const title = name.slice(0, 1).toUpperCase() + name.slice(1);
  return {
    kind: 'notice',
    name,
    address,
    summary,
    audience: 'internal',
    messages: [named(`${title}Notice`, schema)],
  };
}
