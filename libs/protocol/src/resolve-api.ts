import type { ConflictPolicy, Decision, EntityState, MutationInput } from '@sync/domain';

/** `sync.resolve.v1.decide`: a pure question; the answer depends on nothing but the request. */
export interface DecideRequest {
  readonly tenantId: string;
  readonly items: readonly DecideItem[];
}

export interface DecideItem {
  readonly mutation: MutationInput;
  readonly current: EntityState | null;
  readonly policy: ConflictPolicy;
  readonly review: 'none' | 'collisions';
  readonly serverNowMs: number;
}

export interface DecideReply {
  /** One per item, same order. */
  readonly decisions: readonly Decision[];
}
