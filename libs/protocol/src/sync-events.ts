/**
 * Sync events: CloudEvents 1.0 on the stream SYNC_EVENTS, which is also the analytics firehose
 * (`analytics.sync.>`).
 */
import Type, { type Static } from 'typebox';
import { ConflictDecider, ConflictStatus, ResolutionKind } from './conflict-record.ts';
import { MutationId, OutcomeStatus } from './scalars.ts';
import type { ReadOnly } from './read-only.ts';
import {
  Count,
  DeviceId,
  EntityId,
  EntityType,
  Position,
  Scope,
  ServiceName,
  TenantId,
  Timestamp,
  UserId,
} from './scalars.ts';

const Epoch = Type.String({ minLength: 1, maxLength: 64 });

export const MutationsSeen = Type.Object(
  {
    mutations: Type.Array(
      Type.Object({
        mutationId: MutationId,
        entityType: EntityType,
        entityId: EntityId,
        status: Type.Unsafe<string>(OutcomeStatus),
        code: Type.Optional(Type.String()),
      }),
    ),
  },
  { $id: 'MutationsSeen' },
);
export type MutationsSeen = ReadOnly<Static<typeof MutationsSeen>>;

export const PushSeen = Type.Object(
  {
    counts: Type.Partial(
      Type.Object({
        applied: Count,
        merged: Count,
        superseded: Count,
        rejected: Count,
        conflict: Count,
        accepted: Count,
      }),
      { description: 'How many mutations came to each status; a status that none came to is left out.' },
    ),
    mutations: Type.Array(
      Type.Object({
        mutationId: MutationId,
        entityType: Type.Optional(EntityType),
        entityId: Type.Optional(EntityId),
        status: Type.Unsafe<string>(OutcomeStatus),
        code: Type.Optional(Type.String()),
      }),
      {
        description:
          'Those that were not simply applied. Without an entity: it matches no schema, and names none.',
      },
    ),
  },
  {
    $id: 'PushSeen',
    description:
      'What a push came to, and later what became of mutations that were `accepted` there: these are ' +
      'counted once more, under the status in which they ended.',
  },
);
export type PushSeen = ReadOnly<Static<typeof PushSeen>>;

export const ConflictSeen = Type.Object(
  {
    conflictId: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    mutationId: MutationId,
    entityType: EntityType,
    entityId: EntityId,
    scope: Scope,
    status: ConflictStatus,
    draft: Type.Optional(
      Type.Unknown({
        description:
          'When the gateway tells of it: the draft of the ConflictRecord, which the resolver stores.',
      }),
    ),
    resolution: Type.Optional(ResolutionKind),
    decider: Type.Optional(ConflictDecider),
    openMs: Type.Optional(Count),
    historyHash: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description:
          'Of the history entry that the resolution made: an anchor outside of the resolver’s database.',
      }),
    ),
  },
  {
    $id: 'ConflictSeen',
    description:
      '`detected`: status open. `resolved`: auto_resolved by the policy, from the gateway; or resolved by ' +
      'a person, from the resolver, with who, how and after how long.',
  },
);
export type ConflictSeen = ReadOnly<Static<typeof ConflictSeen>>;

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const SuggestionSeen = Type.Object(
  {
    suggestionId: Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' }),
    conflictId: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    entityType: EntityType,
    entityId: EntityId,
    scope: Scope,
    code: Type.Optional(
      Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$', description: 'Why there is none, of `failed`.' }),
    ),
    model: Type.Optional(Type.String()),
    modelVersion: Type.Optional(Type.String()),
    promptHash: Sha256,
    outputHash: Type.Optional(Sha256),
    confidence: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    promptTokens: Type.Optional(Count),
    outputTokens: Type.Optional(Count),
  },
  {
    $id: 'SuggestionSeen',
    description:
      'What became of a suggestion of a language model; none of the texts. `deviceid` is the device that ' +
      'asked, of `accepted` and `dismissed` the one that decided.',
  },
);
export type SuggestionSeen = ReadOnly<Static<typeof SuggestionSeen>>;

const DeltaProjected = Type.Object({
  scope: Scope,
  epoch: Epoch,
  fromSequence: Position,
  toSequence: Position,
  deltas: Count,
  lagMs: Type.Number({
    description:
      'From the owner’s commit (event time) to the projector’s commit, the slowest of the batch; 0 where a ' +
      'snapshot or a replayed dead letter brings the deltas, as their age is no lag.',
  }),
});

const CursorAdvanced = Type.Object({
  cursors: Type.Array(Type.Object({ scope: Scope, epoch: Epoch, sequence: Position })),
  purged: Type.Array(Scope),
});

const Nullable = { timestamp: Type.Union([Timestamp, Type.Null()]), count: Type.Union([Count, Type.Null()]) };

export const DeviceSeen = Type.Object(
  {
    tenantId: TenantId,
    userId: UserId,
    deviceId: DeviceId,
    lastSeenAt: Timestamp,
    connected: Type.Boolean(),
    clockOffsetMs: Type.Union([Type.Number(), Type.Null()], {
      description: 'Device time minus server time.',
    }),
    pending: Nullable.count,
    oldestPendingAt: Nullable.timestamp,
  },
  {
    $id: 'DeviceSeen',
    description:
      'What gateways saw of devices since the last report; collected in memory, so that an empty pull ' +
      'writes nothing.',
  },
);
export type DeviceSeen = ReadOnly<Static<typeof DeviceSeen>>;

const ScopeNamed = Type.Object({ scope: Scope });

/** `data` per event type. One event covers everything of its kind that one transaction did. */
export const SYNC_EVENT_DATA = {
  // These three list every mutation; gateways send them only when told to (ADR 0030).
  'sync.mutation.accepted.v1': MutationsSeen,
  'sync.mutation.applied.v1': MutationsSeen,
  'sync.mutation.rejected.v1': MutationsSeen,
  'sync.delta.projected.v1': DeltaProjected,
  'sync.conflict.detected.v1': ConflictSeen,
  'sync.conflict.resolved.v1': ConflictSeen,
  'sync.suggestion.requested.v1': SuggestionSeen,
  'sync.suggestion.generated.v1': SuggestionSeen,
  'sync.suggestion.failed.v1': SuggestionSeen,
  'sync.suggestion.accepted.v1': SuggestionSeen,
  'sync.suggestion.dismissed.v1': SuggestionSeen,
  'sync.suggestion.stale.v1': SuggestionSeen,
  'sync.cursor.advanced.v1': CursorAdvanced,
  'sync.resync.required.v1': Type.Object({ scopes: Type.Array(Scope), reason: Type.String() }),
  'sync.device.seen.v1': Type.Object({ devices: Type.Array(DeviceSeen) }),
  'sync.device.stale.v1': Type.Object({ reasons: Type.Array(Type.String()) }),
  'sync.device.recovered.v1': Type.Object({ status: Type.String() }),
  'sync.device.revoked.v1': Type.Object({ revokedAt: Timestamp }),
  'sync.scope.granted.v1': ScopeNamed,
  'sync.scope.revoked.v1': ScopeNamed,
  'sync.registration.changed.v1': Type.Object({ service: ServiceName, entityTypes: Type.Array(EntityType) }),
  'sync.push.completed.v1': PushSeen,
} as const;

export type SyncEventType = keyof typeof SYNC_EVENT_DATA;
/** Shapes of `data` per event type. */
export type SyncEventData = {
  readonly [Name in SyncEventType]: ReadOnly<Static<(typeof SYNC_EVENT_DATA)[Name]>>;
};

/** The CloudEvents 1.0 envelope without `type` and `data`. */
export const SyncEventEnvelope = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({ minLength: 1, maxLength: 200 }),
  source: Type.String({ minLength: 1, maxLength: 200 }),
  time: Timestamp,
  datacontenttype: Type.Literal('application/json'),
  tenantid: TenantId,
  userid: Type.Optional(UserId),
  deviceid: Type.Optional(DeviceId),
});

/** CloudEvents 1.0. `deviceid` and `userid` are present where the event concerns one device or user. */
export type SyncEvent<T extends SyncEventType = SyncEventType> = ReadOnly<
  Static<typeof SyncEventEnvelope>
> & {
  readonly type: T;
  readonly data: SyncEventData[T];
};
