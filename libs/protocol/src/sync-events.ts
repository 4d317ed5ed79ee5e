/** Sync events: CloudEvents 1.0 on the stream SYNC_EVENTS, which is also the analytics firehose (`analytics.sync.>`). */

/** Shapes of `data` per event type. One event covers everything of its kind that one transaction did. */
export interface SyncEventData {
  'sync.mutation.accepted.v1': MutationsSeen;
  'sync.mutation.applied.v1': MutationsSeen;
  'sync.mutation.rejected.v1': MutationsSeen;
  'sync.delta.projected.v1': {
    readonly scope: string;
    readonly epoch: string;
    readonly fromSequence: string;
    readonly toSequence: string;
    readonly deltas: number;
    /** From the owner's commit (event time) to the projector's commit, the slowest of the batch. */
    readonly lagMs: number;
  };
  'sync.conflict.detected.v1': ConflictSeen;
  'sync.conflict.resolved.v1': ConflictSeen;
  'sync.cursor.advanced.v1': {
    readonly cursors: readonly { readonly scope: string; readonly epoch: string; readonly sequence: string }[];
    readonly purged: readonly string[];
  };
  'sync.resync.required.v1': { readonly scopes: readonly string[]; readonly reason: string };
  'sync.device.seen.v1': { readonly devices: readonly DeviceSeen[] };
  'sync.device.stale.v1': { readonly reasons: readonly string[] };
  'sync.device.recovered.v1': { readonly status: string };
  'sync.device.revoked.v1': { readonly revokedAt: string };
  'sync.scope.granted.v1': { readonly scope: string };
  'sync.scope.revoked.v1': { readonly scope: string };
  'sync.registration.changed.v1': { readonly service: string; readonly entityTypes: readonly string[] };
}

export type SyncEventType = keyof SyncEventData;

export interface MutationsSeen {
  readonly mutations: readonly {
    readonly mutationId: string;
    readonly entityType: string;
    readonly entityId: string;
    readonly status: string;
    readonly code?: string;
  }[];
}

export interface ConflictSeen {
  readonly conflictId: string;
  readonly mutationId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly scope: string;
  readonly status: 'open' | 'auto_resolved';
  /** The draft of the ConflictRecord (`libs/domain` ConflictDraft); the resolver stores it. */
  readonly draft: unknown;
}

/** What gateways saw of devices since the last report; collected in memory, so that an empty pull writes nothing. */
export interface DeviceSeen {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly lastSeenAt: string;
  readonly connected: boolean;
  readonly clockOffsetMs: number | null;
  readonly pending: number | null;
  readonly oldestPendingAt: string | null;
}

/** CloudEvents 1.0 envelope. `deviceid` and `userid` are present where the event concerns one device or user. */
export interface SyncEvent<T extends SyncEventType = SyncEventType> {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: T;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly tenantid: string;
  readonly userid?: string;
  readonly deviceid?: string;
  readonly data: SyncEventData[T];
}
