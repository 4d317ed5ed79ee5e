/** Typed builders of every NATS subject; no subject literal stands anywhere else. */
import { PLAIN_PARTITION, PROBE_STREAM, STREAMS, type StreamName } from './streams.ts';

export const subjects = {
  /** `<prefix>.<partition>.<producer>` */
  streamMessage: (stream: StreamName, partition: number | string, producer: string): string =>
    `${STREAMS[stream].subjectPrefix}.${partition}.${producer}`,
  plainEvents: (service: string, entityType: string): string =>
    `${STREAMS.DOMAIN_EVENTS.subjectPrefix}.${PLAIN_PARTITION}.${service}.${entityType}`,
  push: (service: string, entityType: string): string => `sync.push.v1.${service}.${entityType}`,
  snapshot: (service: string, entityType: string): string => `sync.snapshot.v1.${service}.${entityType}`,
  upcast: (service: string, entityType: string): string => `sync.upcast.v1.${service}.${entityType}`,
  /**
   * Where a service registers: its name is part of the subject, so that NATS permissions decide who may speak
   * for it.
   */
  registerAs: (service: string): string => `sync.registry.v1.register.${service}`,
  /** The same for services that know only v1.31: nobody can tell who sent it, so production refuses it. */
  register: 'sync.registry.v1.register',
  registryList: 'sync.registry.v1.list',
  /** Core notice to everybody who keeps a copy of the registrations. */
  registryChanged: 'sync.registry.v1.changed',
  /** A relay's announcement of its last number, once a second. */
  relayHead: (stream: string, partition: number | string, producer: string): string =>
    `sync.head.v1.${stream}.${partition}.${producer}`,
  relayHeads: (stream: string): string => `sync.head.v1.${stream}.>`,
  replay: (producer: string): string => `sync.replay.v1.${producer}`,
  /** Wakes the relay of a producer whose rows another process wrote. */
  relayKick: (producer: string): string => `sync.kick.v1.${producer}`,
  storeProbe: `${PROBE_STREAM.subjectPrefix}.store`,
  deviceBindingVerify: 'identity.device-binding.v1.verify',
  deviceBindingRevoked: 'identity.device-binding.v1.revoked',
  /**
   * Hints between gateway replicas: what changed and should be read again. Losing one costs at most a second.
   */
  gatewayHint: 'sync.hint.v1.gateway',
  explain: 'sync.explain.v1.projector',
  deadLetters: 'sync.dead-letters.v1.list',
  deadLetterReplay: 'sync.dead-letters.v1.replay',
  /**
   * To the delta-projector: `{tenantId?}`, project everything anew from the owners' snapshots, under new
   * epochs.
   */
  projectorRebuild: 'sync.projector.v1.rebuild',
  /** To the delta-projector: what entities were before they were deleted. */
  deletedData: 'sync.projector.v1.deleted-data',
  deviceHealth: 'sync.health.v1.devices',
  conflicts: 'sync.conflicts.v1.list',
  /** Kills a process at a named place; only where FAULT_INJECTION is set, which production refuses. */
  faults: (service: string): string => `sync.fault.v1.${service}`,
  suggestionRequest: 'sync.suggestions.v1.request',
  suggestionSettings: 'sync.suggestions.v1.settings',
  conflictShow: 'sync.conflicts.v1.show',
  conflictResolve: 'sync.conflicts.v1.resolve',
  conflictHistory: 'sync.conflicts.v1.history',
  conflictVerify: 'sync.conflicts.v1.verify',
} as const;
