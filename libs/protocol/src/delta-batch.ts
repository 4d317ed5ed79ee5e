/** What the delta-projector tells the gateways on the stream DELTAS. Internal: versioned with the code, not with the protocol. */
import Type, { type Static } from 'typebox';
import { RemoteDelta } from './device-api.ts';
import { FieldWrites } from './field-writes.ts';
import { Revision } from './owner-api.ts';
import type { ReadOnly } from './read-only.ts';
import { Count, DigestHash, EntityId, EntityType, Position, Scope, TenantId, UserId } from './scalars.ts';

const Epoch = Type.String({ minLength: 1, maxLength: 64 });
const Origin = Type.String({ minLength: 1, maxLength: 64, description: 'The region that projected it.' });

export const ScopeHead = Type.Object(
  {
    tenantId: TenantId,
    scope: Scope,
    epoch: Epoch,
    /** Sequence of the scope's last delta, decimal text. */
    sequence: Position,
    count: Count,
    hash: DigestHash,
  },
  { $id: 'ScopeHead', description: 'A scope’s position and digest after the batch.' },
);
export type ScopeHead = ReadOnly<Static<typeof ScopeHead>>;

export const ProjectedDelta = Type.Object(
  {
    tenantId: TenantId,
    scope: Scope,
    sequence: Position,
    entityType: EntityType,
    entityId: EntityId,
    revision: Revision,
    deleted: Type.Boolean(),
    /** Null where the policy does not need it. */
    fieldWrites: Type.Union([FieldWrites, Type.Null()]),
    /** The RemoteDelta exactly as devices get it: stored and sent as text, never parsed again. */
    wire: RemoteDelta,
  },
  { $id: 'ProjectedDelta' },
);
export type ProjectedDelta = ReadOnly<Static<typeof ProjectedDelta>>;

export const GrantChange = Type.Object(
  {
    tenantId: TenantId,
    userId: UserId,
    scope: Scope,
    granted: Type.Boolean(),
    /** The entity that grants: two sources may grant the same scope, each is taken back on its own. */
    sourceType: EntityType,
    sourceId: EntityId,
    revision: Revision,
  },
  { $id: 'GrantChange' },
);
export type GrantChange = ReadOnly<Static<typeof GrantChange>>;

/**
 * One message: one projector transaction's effect on the scopes of one delta partition (`partitionOf(tenantId + NUL + scope)`), in
 * sequence order. A grant or revocation travels with the partition of the user's own scope.
 */
export const DeltaBatch = Type.Object(
  {
    origin: Origin,
    scopes: Type.Array(ScopeHead),
    deltas: Type.Array(ProjectedDelta),
    grants: Type.Array(GrantChange),
  },
  { $id: 'DeltaBatch' },
);
export type DeltaBatch = ReadOnly<Static<typeof DeltaBatch>>;
