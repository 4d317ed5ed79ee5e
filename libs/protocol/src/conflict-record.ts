/**
 * The ConflictRecord: what a device pulls as entityType `conflict`, what `/sync/v1/conflicts/{id}` answers
 * and what reviewers see. One schema for all of them. It is written once; a resolution adds `decision`,
 * `decider` and `resolvedAt`, and then it never changes again.
 */
import type { JsonValue } from '@sync/domain';
import Type, { type Static } from 'typebox';
import {
  Base64,
  ConflictPolicy,
  DeviceId,
  EntityData,
  EntityId,
  EntityType,
  MutationId,
  MutationOp,
  Scope,
  Timestamp,
  SentUuid,
  UserId,
  VectorClock,
} from './scalars.ts';
import { Suggestion } from './suggestion.ts';

/** The entity type as which devices pull ConflictRecords; nobody pushes it. */
export const CONFLICT_ENTITY_TYPE = 'conflict';

const Data = Type.Union([EntityData, Type.Null()]);
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const ConflictId = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  description:
    'UUID, lower case; derived from the mutation, so that a conflict has one record however often it is ' +
    'decided.',
});

export const ConflictStatus = Type.Enum(['open', 'auto_resolved', 'resolved'], {
  description:
    'open: a person has to decide, the server’s value stands meanwhile. auto_resolved: the policy decided.',
});
export type ConflictStatus = Static<typeof ConflictStatus>;

export const ResolutionKind = Type.Enum(['keep_server', 'keep_client', 'merged', 'accept_suggestion']);
export type ResolutionKind = Static<typeof ResolutionKind>;

export const ConflictDecision = Type.Object(
  {
    kind: Type.Enum(['policy', 'keep_server', 'keep_client', 'merged', 'accept_suggestion']),
    mutationId: Type.Optional(MutationId),
    clock: Type.Optional(VectorClock),
    op: Type.Optional(MutationOp),
    data: Type.Optional(Data),
    update: Type.Optional(Base64),
    suggestionId: Type.Optional(Type.String({ maxLength: 64 })),
  },
  {
    $id: 'ConflictDecision',
    description:
      'What was decided. A resolution that changed the entity names the mutation by which it did, what it ' +
      'submitted, and the entity’s clock afterwards.',
  },
);
export type ConflictDecision = Static<typeof ConflictDecision>;

const Person = { userId: UserId, deviceId: DeviceId };

export const ConflictDecider = Type.Union(
  [
    Type.Object({ kind: Type.Literal('policy'), policy: ConflictPolicy }),
    Type.Object({ kind: Type.Literal('person'), ...Person }),
    Type.Object({
      kind: Type.Literal('suggestion'),
      suggestionId: Type.String({ maxLength: 64 }),
      acceptedBy: Type.Object(Person),
    }),
  ],
  {
    $id: 'ConflictDecider',
    description: 'A suggestion never decides: `acceptedBy` is the person who did, and answers for it.',
  },
);
export type ConflictDecider = Static<typeof ConflictDecider>;

export const ConflictHistoryEntry = Type.Object(
  {
    conflictId: ConflictId,
    at: Timestamp,
    what: Type.String({
      pattern: '^[a-z][a-z0-9_]{0,63}$',
      description: 'detected, resolution_rejected, resolved, suggestion_…; may grow within v1.',
    }),
    who: ConflictDecider,
    facts: Type.Record(Type.String(), Type.Unknown()),
    previous: Type.String({
      pattern: '^([0-9a-f]{64})?$',
      description: 'Hash of the entry before it in the tenant’s history; empty for the first.',
    }),
    hash: Sha256,
  },
  {
    $id: 'ConflictHistoryEntry',
    description:
      '`hash` is the SHA-256 of the canonical JSON (keys by code point, no spaces) of the entry without it.',
  },
);
export type ConflictHistoryEntry = Static<typeof ConflictHistoryEntry>;

const Value = Type.Optional(Type.Unsafe<JsonValue>(Type.Unknown()));

/**
 * One field in which both sides differ; a side that has no value there has no property, field `''` is the
 * whole entity.
 */
export const ConflictField = Type.Object(
  {
    field: Type.String(),
    base: Value,
    ours: Value,
    theirs: Value,
    winner: Type.Enum(['ours', 'theirs', 'open', 'merged']),
  },
  { $id: 'ConflictField' },
);

export const DocumentBlock = Type.Object(
  {
    name: Type.String({ description: 'Of the field that has both sides of it.' }),
    path: Type.String({ description: 'Shared types from the root down: `body`, `page/2/0`.' }),
    line: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: 'Of a text, counted from 1 in the base.',
    }),
    key: Type.Union([Type.String(), Type.Null()]),
    kind: Type.String({
      description:
        'same_number, edit_deleted, same_key, same_token or same_block: what both sides did. May grow ' +
        'within v1.',
    }),
    grade: Type.Enum(['minor', 'severe']),
    merged: Type.Union([Type.String(), Type.Null()], {
      description: 'What the merge made of it, an excerpt; null: nothing is left.',
    }),
  },
  { $id: 'DocumentBlock' },
);

export const ConflictRecord = Type.Object(
  {
    conflictId: ConflictId,
    status: ConflictStatus,
    policy: ConflictPolicy,
    userId: UserId,
    deviceId: DeviceId,
    mutationId: MutationId,
    scope: Scope,
    entityType: EntityType,
    entityId: EntityId,
    op: Type.Optional(MutationOp),
    base: Data,
    baseUnknown: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Fields whose value in the base is not known, because the server keeps no earlier values and ' +
          'they were written since; an empty name: nothing is known. A field that is neither here nor in ' +
          '`base` had no value.',
      }),
    ),
    ours: Data,
    theirs: Data,
    theirsLifted: Type.Optional(EntityData),
    theirsUpdate: Type.Union([Base64, Type.Null()]),
    clocks: Type.Object({ ours: VectorClock, theirs: VectorClock }),
    fields: Type.Array(ConflictField),
    blocks: Type.Array(DocumentBlock, { description: 'Of a document: the blocks that both sides changed.' }),
    decision: Type.Union([ConflictDecision, Type.Null()]),
    decider: Type.Union([ConflictDecider, Type.Null()]),
    detectedAt: Timestamp,
    resolvedAt: Type.Union([Timestamp, Type.Null()]),
    history: Type.Array(ConflictHistoryEntry),
    suggestions: Type.Array(Suggestion),
    omitted: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Parts left out of this copy because the whole would not fit one message.',
      }),
    ),
  },
  {
    $id: 'ConflictRecord',
    description:
      '`ours` is the server’s value when the conflict was detected, `theirs` the mutation as it was sent ' +
      '(`theirsLifted`: in the present schema version, when it was sent in an older one), `base` what both ' +
      'started from, as far as it is known (`baseUnknown`).',
  },
);
export type ConflictRecord = Static<typeof ConflictRecord>;

export const Resolution = Type.Object(
  {
    kind: ResolutionKind,
    data: Type.Optional(EntityData),
    update: Type.Optional(Base64),
    suggestionId: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' })),
  },
  {
    $id: 'Resolution',
    description:
      '`merged` brings `data` (the whole entity, as in put) or `update` (as in merge), `accept_suggestion` ' +
      'a `suggestionId`; the others bring nothing.',
  },
);
export type Resolution = Static<typeof Resolution>;

/** `POST /sync/v1/resolve-conflict` */
export const ResolveConflictRequest = Type.Object(
  { conflictId: SentUuid, resolution: Resolution, expectedClock: VectorClock },
  { $id: 'ResolveConflictRequest' },
);
export type ResolveConflictRequest = Static<typeof ResolveConflictRequest>;

/** What `resolve-conflict` and `GET /sync/v1/conflicts/{id}` answer. */
export const ConflictResponse = Type.Object(
  { serverTime: Timestamp, conflict: ConflictRecord },
  { $id: 'ConflictResponse' },
);
export type ConflictResponse = Static<typeof ConflictResponse>;
