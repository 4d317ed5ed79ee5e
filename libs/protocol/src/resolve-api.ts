/**
 * `sync.resolve.v1.decide`: a pure question; the answer depends on nothing but the request. The types are
 * those of `libs/domain`, which takes the decision; the schemas say the same for other readers, and
 * resolve-api.test.ts keeps both equal. Internal: versioned with the code.
 */
import { DocumentBlock } from './conflict-record.ts';
import type { DecisionInput, Decision as DomainDecision, JsonObject, JsonValue } from '@sync/domain';
import Type from 'typebox';
import { FieldWrites } from './field-writes.ts';
import { LIMITS } from './limits.ts';
import { Revision } from './owner-api.ts';
import {
  Base64,
  ConflictPolicy,
  DeviceId,
  EntityData,
  EntityId,
  EntityType,
  MutationId,
  MutationOp,
  SchemaVersion,
  TenantId,
  VectorClock,
} from './scalars.ts';

export interface DecideRequest {
  readonly tenantId: string;
  readonly items: readonly DecideItem[];
}

export type DecideItem = DecisionInput;

export interface DecideReply {
  /** One per item, same order. */
  readonly decisions: readonly DomainDecision[];
}

const Data = Type.Union([Type.Unsafe<JsonObject>(EntityData), Type.Null()]);
const Update = Type.Union([Base64, Type.Null()]);
const EpochMs = Type.Number({ description: 'Epoch milliseconds.' });

const MutationInput = Type.Object({
  mutationId: MutationId,
  deviceId: DeviceId,
  entityType: EntityType,
  entityId: EntityId,
  op: MutationOp,
  data: Data,
  update: Update,
  baseClock: VectorClock,
  counter: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Which change of its device it is; absent: one more than baseClock counts.',
    }),
  ),
  occurredAtMs: EpochMs,
  schemaVersion: SchemaVersion,
});

const EntityState = Type.Object({
  revision: Revision,
  clock: VectorClock,
  data: Data,
  deleted: Type.Boolean(),
  deletedData: Data,
  fieldWrites: FieldWrites,
});

export const DecideItem = Type.Object(
  {
    mutation: MutationInput,
    current: Type.Union([EntityState, Type.Null()]),
    policy: ConflictPolicy,
    review: Type.Enum(['none', 'collisions']),
    serverNowMs: EpochMs,
    mayBeApplied: Type.Optional(Type.Boolean()),
  },
  { $id: 'DecideItem' },
);

export const DecideRequest = Type.Object(
  { tenantId: TenantId, items: Type.Array(DecideItem, { minItems: 1, maxItems: LIMITS.mutationsPerPush }) },
  { $id: 'DecideRequest' },
);

const Value = Type.Optional(Type.Unsafe<JsonValue>(Type.Unknown()));
const FieldConflict = Type.Object({
  field: Type.String(),
  ours: Value,
  theirs: Value,
  winner: Type.Enum(['ours', 'theirs', 'open', 'merged']),
});

/** A ConflictRecord before it is stored; it travels with the outcome's sync event to the resolver. */
export const ConflictDraft = Type.Object(
  {
    policy: ConflictPolicy,
    entityType: EntityType,
    entityId: EntityId,
    mutationId: MutationId,
    op: Type.Optional(MutationOp),
    base: Data,
    baseUnknown: Type.Optional(Type.Array(Type.String())),
    ours: Data,
    theirs: Data,
    theirsLifted: Type.Optional(Type.Unsafe<JsonObject>(EntityData)),
    theirsUpdate: Update,
    fields: Type.Array(FieldConflict),
    blocks: Type.Optional(Type.Array(DocumentBlock)),
    decision: Type.Enum(['auto', 'open']),
    clockOurs: VectorClock,
    clockTheirs: VectorClock,
  },
  { $id: 'ConflictDraft' },
);

const Record = Type.Union([ConflictDraft, Type.Null()]);

export const Decision = Type.Union(
  [
    Type.Object({
      kind: Type.Literal('submit'),
      op: MutationOp,
      data: Data,
      update: Update,
      clock: VectorClock,
      expectedRevision: Revision,
      status: Type.Enum(['applied', 'merged']),
      record: Record,
      fieldWrites: FieldWrites,
    }),
    Type.Object({ kind: Type.Literal('supersede'), record: ConflictDraft }),
    Type.Object({
      kind: Type.Literal('reject'),
      code: Type.Enum(['server_changed', 'append_only_violation', 'op_not_allowed', 'clock_limit_exceeded']),
      record: Record,
    }),
    Type.Object({ kind: Type.Literal('hold'), record: ConflictDraft }),
  ],
  { $id: 'Decision' },
);

export const DecideReply = Type.Object({ decisions: Type.Array(Decision) }, { $id: 'DecideReply' });
