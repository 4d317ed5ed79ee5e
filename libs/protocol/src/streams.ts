/**
 * Every JetStream stream of the platform, as data. Applied at start, and the server's answer compared with
 * what was asked. A message's subject is `<subjectPrefix>.<partition>.<producer>`. The number of partitions
 * is part of the contract between producer and consumers: changing it needs a new stream name.
 */
export interface StreamDeclaration {
  readonly name: string;
  readonly subjectPrefix: string;
  readonly partitions: number;
  readonly maxAgeHours: number;
  readonly maxBytes: number;
  readonly duplicateWindowMs: number;
  readonly owner: string;
  readonly consumers: readonly string[];
  /**
   * For how long what a producer wrote waits for more, with which it becomes one message. Only for a stream
   * that nobody waits for, and whose messages are JSON arrays.
   */
  readonly gatherMs?: number;
}

export type StreamName = 'DOMAIN_EVENTS' | 'DELTAS' | 'SYNC_EVENTS';

const GIB = 1_073_741_824;

export const STREAMS: Readonly<Record<StreamName, StreamDeclaration>> = {
  DOMAIN_EVENTS: {
    name: 'DOMAIN_EVENTS',
    subjectPrefix: 'sync.events.v1',
    partitions: 4,
    maxAgeHours: 48,
    maxBytes: 4 * GIB,
    duplicateWindowMs: 120_000,
    owner: 'owning services',
    consumers: ['delta-projector'],
  },
  DELTAS: {
    name: 'DELTAS',
    subjectPrefix: 'sync.deltas.v1',
    partitions: 4,
    maxAgeHours: 48,
    maxBytes: 4 * GIB,
    duplicateWindowMs: 120_000,
    owner: 'delta-projector',
    consumers: ['sync-gateway'],
  },
  SYNC_EVENTS: {
    name: 'SYNC_EVENTS',
    subjectPrefix: 'analytics.sync.v1',
    partitions: 2,
    maxAgeHours: 168,
    maxBytes: 2 * GIB,
    duplicateWindowMs: 120_000,
    owner: 'sync-gateway, delta-projector, conflict-resolver, device-health',
    consumers: ['device-health', 'conflict-resolver', 'analytics'],
    gatherMs: 200,
  },
};

/**
 * Where every process now and then stores a message that nobody reads, to learn whether JetStream stores at
 * all: the newest few minutes are kept.
 */
export const PROBE_STREAM: StreamDeclaration = {
  name: 'SYNC_PROBE',
  subjectPrefix: 'sync.probe.v1',
  partitions: 1,
  maxAgeHours: 1,
  maxBytes: 65_536,
  duplicateWindowMs: 120_000,
  owner: 'every process',
  consumers: [],
};

/** Partition token of events from producers that are not on the SDK: CloudEvents without our numbers. */
export const PLAIN_PARTITION = 'plain';
