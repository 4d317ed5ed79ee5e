import type { DeviceKey } from '../access/device-bindings.ts';

/** A scope of a tenant. */
export interface ScopeKey {
  readonly tenantId: string;
  readonly scope: string;
}

/** A user of a tenant. */
export interface UserKey {
  readonly tenantId: string;
  readonly userId: string;
}

/** One ingest transaction, as far as one partition of DELTAS goes. */
export interface PartitionIngest {
  readonly partition: number;
  /** The ingests into a partition are counted. */
  readonly number: string;
}

/** What has been committed and is worth reading again. */
export interface News {
  readonly scopes?: readonly ScopeKey[];
  /** Users whose grants changed. */
  readonly users?: readonly UserKey[];
  /** Devices with new terminal outcomes, or whose copies a pull must look at again. */
  readonly devices?: readonly DeviceKey[];
  /** More changed than is worth listing: everything may have. */
  readonly everything?: boolean;
  /** All of what this transaction changed is listed: it need not be looked for again. */
  readonly ingests?: readonly PartitionIngest[];
}

export type NewsListener = (news: News) => void;

/**
 * Tells this replica and, as a hint, all others what has just been committed: waiting pulls wake up and
 * sockets get a notice. Losing a hint costs at most a second.
 */
export interface GatewayNews {
  /** Call after the commit. */
  announce(news: News): void;
}

/** One text for a scope of a tenant: ids hold no NUL, so no two share it. */
export function scopeKeyText({ tenantId, scope }: ScopeKey): string {
  return `${tenantId}\0${scope}`;
}

export function userKeyText({ tenantId, userId }: UserKey): string {
  return `${tenantId}\0${userId}`;
}
