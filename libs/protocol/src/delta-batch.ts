/**
 * What the delta-projector tells the gateways on the stream DELTAS. Internal: versioned with the code, not
 * with the protocol.
 */
import { readJson } from '@sync/domain';
import Type, { type Static } from 'typebox';
import { RemoteDelta } from './device-api.ts';
import { FieldWrites } from './field-writes.ts';
import { Revision } from './owner-api.ts';
import type { ReadOnly } from './read-only.ts';
import {
  Count,
  DigestHash,
  EntityId,
  EntityType,
  Position,
  Scope,
  TenantId,
  Timestamp,
  UserId,
  VectorClock,
} from './scalars.ts';

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
    /** Some of the deltas of this scope in the message have `document`. */
    documents: Type.Optional(Type.Boolean()),
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
    /** Of the RemoteDelta, for detection in a push. */
    clock: VectorClock,
    /** Null where the policy does not need it. */
    fieldWrites: Type.Union([FieldWrites, Type.Null()]),
    /**
     * Of entity types with a document: whether the delta makes those of the entity before it superfluous, or
     * has to be applied after them. A deletion is `whole`.
     */
    document: Type.Optional(Type.Enum(['whole', 'increment'])),
  },
  {
    $id: 'ProjectedDelta',
    description: 'Where a RemoteDelta belongs, and what the gateway must know of it.',
  },
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
 * One message: one projector transaction's effect on the scopes of one delta partition (`partitionOf(tenantId
 * + NUL + scope)`), in sequence order. A grant or revocation travels with the partition of the user's own
 * scope.
 *
 * On the wire it is lines of JSON text, which a line feed cannot be part of: `{origin, committedAt, scopes,
 * grants}`, the array `deltas`, then each of `wires`, the RemoteDelta of the delta at the same place exactly
 * as devices get it. So a gateway splits a message without parsing it, and neither it nor its database ever
 * parses a RemoteDelta: as one JSON object a batch of 100 cost Postgres 12 ms instead of 5.
 */
export const DeltaBatch = Type.Object(
  {
    origin: Origin,
    /**
     * When the owner committed the newest of the deltas; null without deltas, and where a snapshot or a
     * replayed dead letter brings them: that is no lag.
     */
    committedAt: Type.Union([Timestamp, Type.Null()]),
    scopes: Type.Array(ScopeHead),
    grants: Type.Array(GrantChange),
    deltas: Type.Array(ProjectedDelta),
    wires: Type.Array(RemoteDelta),
  },
  {
    $id: 'DeltaBatch',
    description: 'As lines of JSON: the first four properties as an object, `deltas`, each of `wires`.',
  },
);
export type DeltaBatch = ReadOnly<Static<typeof DeltaBatch>>;

/** The parts of a message of DELTAS as texts; `wires` is one line per delta. */
export interface DeltaLines {
  readonly head: string;
  readonly deltas: string;
  readonly wires: readonly string[];
}

/** The message as text. */
export function joinDeltaLines({ head, deltas, wires }: DeltaLines): string {
  return [head, deltas, ...wires].join('\n');
}

/**
 * Takes a message apart without parsing it; the wires stay one text. @throws TypeError when a line is missing
 */
export function splitDeltaLines(payload: string): { head: string; deltas: string; wires: string } {
  const first = payload.indexOf('\n');
  if (first < 0) throw new TypeError('A message of DELTAS has at least two lines');
  const second = payload.indexOf('\n', first + 1);
  const end = second < 0 ? payload.length : second;
  return {
    head: payload.slice(0, first),
    deltas: payload.slice(first + 1, end),
    wires: payload.slice(end + 1),
  };
}

/** The message as an object. @throws SyntaxError */
export function parseDeltaBatch(payload: string): unknown {
  const { head, deltas, wires } = splitDeltaLines(payload);
  const parsed = wires === '' ? [] : wires.split('\n').map((wire): unknown => readJson(wire));
  return { ...(readJson(head) as object), deltas: readJson(deltas), wires: parsed };
}
