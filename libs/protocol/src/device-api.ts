/**
 * Requests and responses of `/sync/v1/`: the schemas are the single source of validation, types and OpenAPI.
 */
import Type, { type Static } from 'typebox';
import { LIMITS } from './limits.ts';
import {
  Base64,
  Count,
  CursorToken,
  DeltaOp,
  DigestHash,
  EntityData,
  EntityId,
  EntityType,
  MutationId,
  MutationOp,
  MutationTag,
  SentUuid,
  OutcomeStatus,
  SchemaVersion,
  Scope,
  Timestamp,
  VectorClock,
} from './scalars.ts';

export const RemoteDelta = Type.Object(
  {
    entityType: EntityType,
    entityId: EntityId,
    op: DeltaOp,
    clock: VectorClock,
    schemaVersion: SchemaVersion,
    committedAt: Timestamp,
    data: Type.Union([EntityData, Type.Null()]),
    update: Type.Optional(Base64),
  },
  { $id: 'RemoteDelta' },
);
export type RemoteDelta = Static<typeof RemoteDelta>;

export const LocalMutation = Type.Object(
  {
    mutationId: SentUuid,
    sequence: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Counts per device.',
    }),
    scope: Scope,
    entityType: EntityType,
    entityId: EntityId,
    op: MutationOp,
    data: Type.Optional(Type.Union([EntityData, Type.Null()])),
    update: Type.Optional(Base64),
    baseClock: Type.Optional(VectorClock),
    occurredAt: Timestamp,
    schemaVersion: Type.Optional(SchemaVersion),
    dependsOn: Type.Optional(Type.Array(SentUuid, { maxItems: LIMITS.dependsOnPerMutation })),
    tag: Type.Optional(MutationTag),
  },
  { $id: 'LocalMutation' },
);
export type LocalMutation = Static<typeof LocalMutation>;

export const Outcome = Type.Object(
  {
    mutationId: MutationId,
    status: OutcomeStatus,
    /** That of its mutation, while the user holds it. */
    scope: Type.Optional(Scope),
    clock: Type.Optional(VectorClock),
    current: Type.Optional(RemoteDelta),
    /** The outcome of the same answer whose `current` is this one's, too. */
    currentOf: Type.Optional(MutationId),
    code: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' })),
    message: Type.Optional(Type.String({ maxLength: 1000 })),
    conflictId: Type.Optional(Type.String({ pattern: '^[0-9a-f-]{36}$' })),
    retryAfterMs: Type.Optional(Count),
  },
  { $id: 'Outcome' },
);
export type Outcome = Static<typeof Outcome>;

export const Backlog = Type.Object(
  { pending: Count, oldestAt: Type.Optional(Type.Union([Timestamp, Type.Null()])) },
  { $id: 'Backlog', description: 'The device’s own count of unpushed work.' },
);
export type Backlog = Static<typeof Backlog>;

export const Digest = Type.Object({ count: Count, hash: DigestHash }, { $id: 'Digest' });
export type Digest = Static<typeof Digest>;

export const AckRequest = Type.Object(
  {
    cursors: Type.Optional(
      Type.Array(Type.Object({ scope: Scope, cursor: CursorToken, digest: Type.Optional(Digest) }), {
        maxItems: LIMITS.scopesPerPull,
      }),
    ),
    outcomes: Type.Optional(Type.Array(SentUuid, { maxItems: LIMITS.outcomesPerAck })),
    purged: Type.Optional(Type.Array(Scope, { maxItems: LIMITS.scopesPerPull })),
    backlog: Type.Optional(Backlog),
  },
  { $id: 'AckRequest' },
);
export type AckRequest = Static<typeof AckRequest>;

const AckedCursors = Type.Array(
  Type.Object({ scope: Scope, status: Type.Enum(['advanced', 'unchanged', 'stale']) }),
);

export const AckResponse = Type.Object(
  { serverTime: Timestamp, cursors: AckedCursors },
  { $id: 'AckResponse' },
);
export type AckResponse = Static<typeof AckResponse>;

/** What a push or a pull answers to the ack in it. */
export const AckResult = Type.Object({ cursors: AckedCursors }, { $id: 'AckResult' });
export type AckResult = Static<typeof AckResult>;

export const HeldDocument = Type.Object(
  {
    entityType: EntityType,
    entityId: EntityId,
    epoch: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: '`epoch` in the data of the delta that the device holds.',
    }),
    stateVector: Type.Refine(
      Base64,
      (text) => text.length <= LIMITS.stateVectorLength,
      () => `must have at most ${LIMITS.stateVectorLength} characters`,
    ),
  },
  { $id: 'HeldDocument', description: 'How much a device has of a Yjs document.' },
);
export type HeldDocument = Static<typeof HeldDocument>;

export const PullRequest = Type.Object(
  {
    scopes: Type.Optional(
      Type.Array(
        Type.Object({
          scope: Scope,
          cursor: Type.Optional(Type.Union([CursorToken, Type.Null()])),
          documents: Type.Optional(
            Type.Array(HeldDocument, {
              maxItems: LIMITS.documentsPerPull,
              description:
                'Documents of the scope that the device keeps whatever comes: where the answer would have the whole of one, it may have the ' +
                'difference. At most 100 in all scopes together.',
            }),
          ),
        }),
        { maxItems: LIMITS.scopesPerPull, description: 'Omitted: every scope granted to this user.' },
      ),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.deltasPerPull })),
    waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: LIMITS.waitMs })),
    backlog: Type.Optional(Backlog),
    /** Carried out before the pull, as `POST /sync/v1/ack` does. */
    ack: Type.Optional(AckRequest),
  },
  { $id: 'PullRequest' },
);
export type PullRequest = Static<typeof PullRequest>;

export const Directive = Type.Object(
  {
    kind: Type.Enum(['full_resync'], {
      'x-open': true,
      description: 'May grow within v1: a device ignores a directive that it does not know.',
    }),
    scopes: Type.Array(Scope),
    reason: Type.Optional(Type.String()),
  },
  { $id: 'Directive' },
);
export type Directive = Static<typeof Directive>;

export const PullResponse = Type.Object(
  {
    serverTime: Timestamp,
    scopes: Type.Array(
      Type.Object({
        scope: Scope,
        reset: Type.Boolean(),
        deltas: Type.Array(RemoteDelta),
        cursor: CursorToken,
        hasMore: Type.Boolean(),
        digest: Type.Optional(Digest),
      }),
    ),
    revoked: Type.Array(Scope),
    outcomes: Type.Array(Outcome),
    directives: Type.Array(Directive),
    granted: Type.Optional(
      Type.Array(Scope, {
        description:
          'Scopes that the user holds, that this pull did not name and the device was never served: name ' +
          'them in the next one. At most 1,000; left out when there is none.',
      }),
    ),
    ack: Type.Optional(AckResult),
  },
  { $id: 'PullResponse' },
);
export type PullResponse = Static<typeof PullResponse>;

/**
 * The envelope of a push. Mutations are checked one by one against `LocalMutation` afterwards: a bad one is
 * answered with `rejected` and never harms its neighbours; only what cannot be answered per mutation is a
 * 400.
 */
export const PushRequest = Type.Object(
  {
    sentAt: Timestamp,
    mutations: Type.Array(LocalMutation, { maxItems: LIMITS.mutationsPerPush }),
    backlog: Type.Optional(Backlog),
    /** Carried out before the mutations, as `POST /sync/v1/ack` does. */
    ack: Type.Optional(AckRequest),
  },
  { $id: 'PushRequest' },
);
export type PushRequest = Static<typeof PushRequest>;

export const PushEnvelope = Type.Object({
  sentAt: Timestamp,
  mutations: Type.Array(Type.Object({ mutationId: SentUuid, op: MutationOp }), {
    maxItems: LIMITS.mutationsPerPush,
  }),
  backlog: Type.Optional(Backlog),
  ack: Type.Optional(AckRequest),
});
export type PushEnvelope = Static<typeof PushEnvelope>;

export const PushResponse = Type.Object(
  { serverTime: Timestamp, outcomes: Type.Array(Outcome), ack: Type.Optional(AckResult) },
  { $id: 'PushResponse' },
);
export type PushResponse = Static<typeof PushResponse>;

export const TicketResponse = Type.Object(
  { serverTime: Timestamp, ticket: Type.String(), expiresAt: Timestamp },
  { $id: 'TicketResponse' },
);
export type TicketResponse = Static<typeof TicketResponse>;

export const LiveNotice = Type.Object({ scopes: Type.Array(Scope) }, { $id: 'LiveNotice' });
export type LiveNotice = Static<typeof LiveNotice>;
