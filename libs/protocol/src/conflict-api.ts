/**
 * What the gateway asks the conflict-resolver over NATS about ConflictRecords, for devices (with `userId`:
 * that user's own) and for administrators (without: of the whole tenant). Internal: versioned with the code.
 */
import Type, { type Static } from 'typebox';
import { Next, PageLimit, RecordId } from './admin-api.ts';
import {
  ConflictHistoryEntry,
  ConflictId,
  ConflictRecord,
  ConflictStatus,
  Resolution,
} from './conflict-record.ts';
import { Revision } from './owner-api.ts';
import {
  ConflictPolicy,
  Count,
  DeviceId,
  EntityData,
  EntityId,
  EntityType,
  MutationId,
  Position,
  SchemaVersion,
  Scope,
  ServiceName,
  TenantId,
  Timestamp,
  UserId,
  VectorClock,
} from './scalars.ts';

const page = { tenantId: TenantId, cursor: Next, limit: PageLimit };

/** `sync.conflicts.v1.list` */
export const ConflictsRequest = Type.Object(
  {
    ...page,
    status: Type.Optional(ConflictStatus),
    policy: Type.Optional(ConflictPolicy),
    userId: Type.Optional(UserId),
    deviceId: Type.Optional(DeviceId),
    entityType: Type.Optional(EntityType),
    entityId: Type.Optional(EntityId),
    from: Type.Optional(Timestamp),
    to: Type.Optional(Timestamp),
  },
  { $id: 'ConflictsRequest', description: 'Newest first; `from` ≤ detectedAt < `to`.' },
);
export type ConflictsRequest = Static<typeof ConflictsRequest>;

export const ConflictSummary = Type.Object(
  {
    conflictId: RecordId,
    status: ConflictStatus,
    policy: ConflictPolicy,
    entityType: EntityType,
    entityId: EntityId,
    scope: Scope,
    userId: UserId,
    deviceId: DeviceId,
    mutationId: MutationId,
    fields: Type.Array(Type.String(), {
      description: 'Fields in which both sides differ; at most 20 here, all of them in the record.',
    }),
    detectedAt: Timestamp,
    resolvedAt: Type.Union([Timestamp, Type.Null()]),
    resolution: Type.Union([Type.String({ maxLength: 64 }), Type.Null()], {
      description: 'Kind of the decision.',
    }),
  },
  { $id: 'ConflictSummary' },
);
export type ConflictSummary = Static<typeof ConflictSummary>;

export const ConflictsReply = Type.Object(
  { conflicts: Type.Array(ConflictSummary), next: Next },
  { $id: 'ConflictsReply' },
);
export type ConflictsReply = Static<typeof ConflictsReply>;

/**
 * `sync.conflicts.v1.show`: `not_found` for what does not exist and for what is another user's, without a
 * difference.
 */
export const ConflictShowRequest = Type.Object(
  { tenantId: TenantId, conflictId: ConflictId, userId: Type.Optional(UserId) },
  { $id: 'ConflictShowRequest' },
);
export type ConflictShowRequest = Static<typeof ConflictShowRequest>;

export const ConflictShowReply = Type.Object({ conflict: ConflictRecord }, { $id: 'ConflictShowReply' });
export type ConflictShowReply = Static<typeof ConflictShowReply>;

/** `sync.conflicts.v1.history`, oldest first. */
export const ConflictHistoryRequest = Type.Object(
  { ...page, conflictId: ConflictId },
  { $id: 'ConflictHistoryRequest' },
);
export type ConflictHistoryRequest = Static<typeof ConflictHistoryRequest>;

export const ConflictHistoryReply = Type.Object(
  { entries: Type.Array(ConflictHistoryEntry), next: Next },
  { $id: 'ConflictHistoryReply' },
);
export type ConflictHistoryReply = Static<typeof ConflictHistoryReply>;

/** `sync.conflicts.v1.verify`: walks the tenant's history and then its records, a page at a time. */
export const ConflictVerifyRequest = Type.Object(page, { $id: 'ConflictVerifyRequest' });
export type ConflictVerifyRequest = Static<typeof ConflictVerifyRequest>;

export const BrokenLink = Type.Object(
  {
    position: Position,
    conflictId: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    fault: Type.Enum(
      [
        'entry_missing',
        'entry_altered',
        'link_broken',
        'record_missing',
        'record_altered',
        'history_missing',
        'anchor_altered',
      ],
      {
        description:
          'history_missing: a record without all of its entries. anchor_altered: what was counted when ' +
          'entries were added does not fit those that are there.',
      },
    ),
    detail: Type.String({ maxLength: 1000, description: 'For people.' }),
  },
  {
    $id: 'BrokenLink',
    description:
      'The first place where the history is not what it was when it was written; position 0: the fault is ' +
      'about a record and has no place in the chain.',
  },
);
export type BrokenLink = Static<typeof BrokenLink>;

export const ConflictVerifyReply = Type.Object(
  {
    checked: Count,
    records: Type.Optional(Count),
    broken: Type.Union([BrokenLink, Type.Null()]),
    hash: Type.Union([Type.String({ pattern: '^[0-9a-f]{64}$' }), Type.Null()], {
      description:
        'Of the last entry of this page that is whole: kept elsewhere, it proves that nothing was cut off.',
    }),
    next: Next,
  },
  {
    $id: 'ConflictVerifyReply',
    description:
      '`checked` entries of this page are whole; `records` have all of their entries: records follow when ' +
      'the entries are at their end.',
  },
);
export type ConflictVerifyReply = Static<typeof ConflictVerifyReply>;

/** The entity of a conflict as the resolving user may see it, and where its owner takes pushes. */
export const ResolutionTarget = Type.Object(
  {
    service: ServiceName,
    pushSubject: Type.String({ minLength: 1, maxLength: 255 }),
    schemaVersion: SchemaVersion,
    policy: ConflictPolicy,
    revision: Revision,
    clock: VectorClock,
    data: Type.Union([EntityData, Type.Null()]),
  },
  { $id: 'ResolutionTarget' },
);
export type ResolutionTarget = Static<typeof ResolutionTarget>;

/** `sync.conflicts.v1.resolve`: may be repeated; a repetition is answered as the first time. */
export const ConflictResolveRequest = Type.Object(
  {
    tenantId: TenantId,
    userId: UserId,
    deviceId: DeviceId,
    conflictId: ConflictId,
    resolution: Resolution,
    expectedClock: VectorClock,
    target: Type.Union([ResolutionTarget, Type.Null()], {
      description: 'Null: no service owns this entity type any more.',
    }),
  },
  { $id: 'ConflictResolveRequest' },
);
export type ConflictResolveRequest = Static<typeof ConflictResolveRequest>;

export const ConflictResolveReply = Type.Union(
  [
    Type.Object({ kind: Type.Literal('resolved'), conflict: ConflictRecord }),
    Type.Object({ kind: Type.Literal('already_resolved'), conflict: ConflictRecord }),
    Type.Object({ kind: Type.Literal('moved') }),
    Type.Object({
      kind: Type.Literal('rejected'),
      code: Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }),
      message: Type.String({ maxLength: 1000 }),
    }),
    Type.Object({
      kind: Type.Literal('suggestion_not_ready'),
      status: Type.String({ maxLength: 64 }),
    }),
    Type.Object(
      { kind: Type.Literal('busy') },
      { description: 'Somebody else is resolving it now, or its owner does not answer.' },
    ),
  ],
  { $id: 'ConflictResolveReply' },
);
export type ConflictResolveReply = Static<typeof ConflictResolveReply>;
