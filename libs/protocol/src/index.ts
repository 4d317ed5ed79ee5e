export { BODY_LIMITS, type BodyLimits } from './body-limits.ts';
export { LIMITS, MESSAGE_DEPTH } from './limits.ts';
export { LIVE_CLOSE_CODES, liveCloseCodes } from './live-close-codes.ts';
export { ConflictPolicy, SentUuid, Timestamp } from './scalars.ts';
export {
  AckRequest,
  AckResponse,
  AckResult,
  Backlog,
  Digest,
  HeldDocument,
  Directive,
  LiveNotice,
  LocalMutation,
  Outcome,
  PullRequest,
  PullResponse,
  PushEnvelope,
  PushRequest,
  PushResponse,
  RemoteDelta,
  TicketResponse,
} from './device-api.ts';
export {
  DEVICE_ID_PATTERN,
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  MUTATION_ID_PATTERN,
  SCOPE_ID_PATTERN,
  SCOPE_PATTERN,
  SERVICE_PATTERN,
  TENANT_ID_PATTERN,
  USER_ID_PATTERN,
} from './patterns.ts';
export { EntityTypeInfo, EntityTypesResponse, entityTypeInfos } from './entity-types-api.ts';
export { DEVICE_OPERATIONS, SIGNED_PROBLEMS } from './device-operations.ts';
export type { DeviceOperation } from './device-operations.ts';
export { PRIORITIES, type Priority } from './priorities.ts';
export { Problem, Refusal, problem } from './error-codes.ts';
export type { RefusalOptions } from './error-codes.ts';
export { PROBLEM_CODES, type ProblemCode, type ProblemKind } from './problem-codes.ts';
export { OUTCOME_CODES, type OutcomeCode } from './outcome-codes.ts';
export { decoder, validator } from './validate.ts';
export type { SchemaFault, Validated } from './validate.ts';
export { findUnstorable, isNestedDeeper, parseJson } from './parse-json.ts';
export type { ParsedJson } from './parse-json.ts';
export { EntityTypeRegistration, GrantRule, SyncRegistration, Upcaster } from './registration.ts';
export type { RegisteredEntityType } from './registration.ts';
export { DeviceBindingReply, DeviceBindingRequest, DeviceRevokedNotice } from './device-binding-api.ts';
export {
  OwnerPushReply,
  OwnerPushRequest,
  AcceptedWords,
  OwnerPushResult,
  OwnerState,
  PushedMutation,
  RegisterReply,
  RegistryListReply,
  RegistryListRequest,
  RemoteProjectionReply,
  RemoteProjectionRequest,
  SnapshotEntity,
  SnapshotPage,
  SnapshotRequest,
  UpcastReply,
  UpcastRequest,
} from './owner-api.ts';
export { cloudEvent, sourceOfOwner } from './cloud-event.ts';
export type { CloudEvent, EventFacts } from './cloud-event.ts';
export { DocumentOverlaps } from './document-overlaps.ts';
export { DomainEvent } from './domain-event.ts';
export {
  DeltaBatch,
  GrantChange,
  ProjectedDelta,
  ScopeHead,
  joinDeltaLines,
  parseDeltaBatch,
  splitDeltaLines,
} from './delta-batch.ts';
export { DeletedDataReply, DeletedDataRequest } from './deleted-data-api.ts';
export { FieldWrites } from './field-writes.ts';
export {
  Suggestion,
  SuggestionReply,
  SuggestionRequest,
  SuggestionResponse,
  SuggestionSettings,
  SuggestionSettingsReply,
  SuggestionSettingsRequest,
  SuggestionUsage,
} from './suggestion.ts';
export {
  ConflictSeen,
  SuggestionSeen,
  DeviceSeen,
  MutationsSeen,
  PushSeen,
  SYNC_EVENT_DATA,
  SyncEventEnvelope,
} from './sync-events.ts';
export type { SyncEvent, SyncEventData, SyncEventType } from './sync-events.ts';
export { PLAIN_PARTITION, PROBE_STREAM, STREAMS } from './streams.ts';
export type { StreamDeclaration, StreamName } from './streams.ts';
export { subjects } from './subjects.ts';
export {
  parseContentDigest,
  parseSignature,
  parseSignatureInput,
  signatureBase,
  signatureParams,
} from './http-signature.ts';
export type { SignatureInput, SignedRequest } from './http-signature.ts';
export { tagKeyInfo, taggedText } from './mutation-tag.ts';
export type { TagAuthor } from './mutation-tag.ts';
export {
  ADMIN_PAGE_SIZE,
  DeadLetter,
  DeadLetterReplayReply,
  DeadLetterReplayRequest,
  DeadLetterStatus,
  DeadLettersReply,
  DeadLettersRequest,
  DeviceHealth,
  DeviceStatus,
  DevicesReply,
  DevicesRequest,
  ExplainReply,
  ExplainRequest,
} from './admin-api.ts';
export {
  BrokenLink,
  ConflictHistoryReply,
  ConflictHistoryRequest,
  ConflictResolveReply,
  ConflictResolveRequest,
  ConflictShowReply,
  ConflictShowRequest,
  ConflictSummary,
  ConflictVerifyReply,
  ConflictVerifyRequest,
  ConflictsReply,
  ConflictsRequest,
  ResolutionTarget,
} from './conflict-api.ts';
export { decidedFields } from './field-winners.ts';
export { withoutServerSide } from './without-server-side.ts';
export {
  CONFLICT_ENTITY_TYPE,
  ConflictDecider,
  ConflictDecision,
  ConflictHistoryEntry,
  ConflictId,
  ConflictRecord,
  DocumentBlock,
  ConflictResponse,
  ConflictStatus,
  Resolution,
  ResolutionKind,
  ResolveConflictRequest,
} from './conflict-record.ts';
export {
  ADMIN_OPERATIONS,
  AdminConflictsQuery,
  AdminDeadLettersQuery,
  AdminDevicesQuery,
  AdminExplainQuery,
  AdminExplainResponse,
  AdminMissingPurgesQuery,
  AdminRegistration,
  AdminReplayBody,
  AdminScopesResponse,
  ExplainStep,
  MissingPurge,
} from './admin-operations.ts';
export { type AdminChange, type AdminOperation, operationIdOf } from './admin-operation.ts';
export { AuditActor, AuditEntry, type AuditExportLine, AuditOutcome, BrokenAuditLine } from './audit-api.ts';
export { ADMIN_ROLES, type AdminRole, PLATFORM_TENANT } from './admin-roles.ts';
export { identitiesOf, inboxPrefix, type NatsPermissions, permissionsOf } from './nats-permissions.ts';
export { PLATFORM_SERVICE_RIGHTS, type RightsOfService, ServiceRights } from './service-rights.ts';
export { FaultRequest, FaultState } from './fault-api.ts';
export type { FaultPlace } from './fault-api.ts';
