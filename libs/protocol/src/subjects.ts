/** Typed builders of every NATS subject; no subject literal stands anywhere else. */
import { PLAIN_PARTITION, STREAMS, type StreamName } from './streams.ts';

export const subjects = {
  /** `<prefix>.<partition>.<producer>` */
  streamMessage: (stream: StreamName, partition: number, producer: string): string =>
    `${STREAMS[stream].subjectPrefix}.${partition}.${producer}`,
  plainEvents: (service: string, entityType: string): string =>
    `${STREAMS.DOMAIN_EVENTS.subjectPrefix}.${PLAIN_PARTITION}.${service}.${entityType}`,
  push: (service: string, entityType: string): string => `sync.push.v1.${service}.${entityType}`,
  snapshot: (service: string, entityType: string): string => `sync.snapshot.v1.${service}.${entityType}`,
  register: 'sync.registry.v1.register',
  registryList: 'sync.registry.v1.list',
  /** Core notice to everybody who keeps a copy of the registrations. */
  registryChanged: 'sync.registry.v1.changed',
  decide: 'sync.resolve.v1.decide',
  deviceBindingVerify: 'identity.device-binding.v1.verify',
  deviceBindingRevoked: 'identity.device-binding.v1.revoked',
  /** Hints between gateway replicas: what changed and should be read again. Losing one costs at most a second. */
  gatewayHint: 'sync.hint.v1.gateway',
  explain: 'sync.explain.v1.projector',
  deadLetters: 'sync.dead-letters.v1.list',
  deadLetterReplay: 'sync.dead-letters.v1.replay',
  deviceHealth: 'sync.health.v1.devices',
  conflicts: 'sync.conflicts.v1.list',
} as const;
