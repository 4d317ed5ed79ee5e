import type { RemoteDelta } from './device-api.ts';

/**
 * One message of the stream DELTAS, from the delta-projector to the gateways. It is one projector transaction's effect on the scopes
 * of one delta partition (`partitionOf(tenantId + NUL + scope)`), in sequence order. Internal, versioned with the code.
 */
export interface DeltaBatch {
  readonly origin: string;
  /** Scope heads after this batch; a grant or revocation travels with the partition of the user's own scope. */
  readonly scopes: readonly ScopeHead[];
  readonly deltas: readonly ProjectedDelta[];
  readonly grants: readonly GrantChange[];
}

export interface ScopeHead {
  readonly tenantId: string;
  readonly scope: string;
  readonly epoch: string;
  /** Sequence of the scope's last delta, decimal text. */
  readonly sequence: string;
  readonly count: number;
  readonly hash: string;
}

export interface ProjectedDelta {
  readonly tenantId: string;
  readonly scope: string;
  readonly sequence: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly revision: number;
  readonly deleted: boolean;
  /** Who wrote each field last (`libs/domain` FieldWrites); null where the policy does not need it. */
  readonly fieldWrites: Readonly<Record<string, { atMs: number; by: string; counter: number }>> | null;
  /** The RemoteDelta exactly as devices get it: stored and sent as text, never parsed again. */
  readonly wire: RemoteDelta;
}

export interface GrantChange {
  readonly tenantId: string;
  readonly userId: string;
  readonly scope: string;
  readonly granted: boolean;
  /** The entity that grants: two sources may grant the same scope, each is taken back on its own. */
  readonly sourceType: string;
  readonly sourceId: string;
  readonly revision: number;
}
