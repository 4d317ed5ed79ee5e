/** The pure decisions of sync: acceptance, time, conflict, projection, digest, device health. */
export { checkOp } from './acceptance/check-op.ts';
export type { OpRefusal } from './acceptance/check-op.ts';
export { withOwnEntry } from './acceptance/own-entry.ts';
export type { NumberedMutation, OwnChanges } from './acceptance/own-entry.ts';
export { planLanes } from './acceptance/plan-lanes.ts';
export type { BlockedCode, LaneItem, LanePlan } from './acceptance/plan-lanes.ts';
export { sameChange } from './acceptance/same-change.ts';
export { believed, decide, lookUp, mayHold, wantsDeletedData } from './conflict/decide.ts';
export type {
  ConflictDraft,
  DocumentBlock,
  Decision,
  DecisionInput,
  FieldConflict,
  RejectCode,
  ReviewMode,
  SubmitDecision,
} from './conflict/decision.ts';
export { detectConflict } from './conflict/detect-conflict.ts';
export type { Concurrency } from './conflict/detect-conflict.ts';
export {
  compareWrites,
  namedWrites,
  recordFieldWrites,
  repeatingWrites,
  writeIn,
} from './conflict/field-writes.ts';
export type { RecordOptions } from './conflict/field-writes.ts';
export { POLICIES } from './conflict/policies.ts';
export type { ConflictPolicy } from './conflict/policies.ts';
export { recordOverlaps } from './conflict/record-overlaps.ts';
export type { BlockOverlap, MergeReport, MergedMutation } from './conflict/record-overlaps.ts';
export { recordRefused } from './conflict/record-refused.ts';
export { EXISTENCE_FIELD, claimedClock, mutationClock, mutationCounter, mutationWrite } from './entity.ts';
export type { EntityState, FieldWrite, FieldWrites, MutationInput, MutationOp, Write } from './entity.ts';
export { DEFAULT_HEALTH_THRESHOLDS, assessDevice } from './health/assess-device.ts';
export type {
  DeviceAssessment,
  DeviceObservation,
  DeviceStatus,
  HealthReason,
  HealthReasonCode,
  HealthThresholds,
} from './health/assess-device.ts';
export {
  canonicalJson,
  deepEqualJson,
  isJsonObject,
  isStorableJson,
  readField,
  shorten,
  sortKeys,
  storableJson,
  storableJsonText,
  storableText,
} from './json.ts';
export type { JsonObject, JsonValue } from './json.ts';
export { readJson } from './read-json.ts';
export { rfc8785Json } from './rfc8785.ts';
export { EMPTY_DIGEST, addToDigest, entityDigestInput, subtractFromDigest } from './projection/digest.ts';
export { projectEvent } from './projection/project-event.ts';
export type {
  DeltaDraft,
  DomainChange,
  EntityHead,
  GrantRule,
  PoisonCode,
  ProjectionResult,
  ProjectionRule,
  ScopeGrant,
} from './projection/projection.ts';
export {
  isScope,
  parseScopeTemplate,
  parseUserTemplate,
  renderScope,
  renderUser,
} from './projection/scope-template.ts';
export type { ParsedTemplate, Template, TemplateIds } from './projection/scope-template.ts';
export { backoffMs } from './time/backoff.ts';
export type { Backoff } from './time/backoff.ts';
export { correctOccurredAtMs } from './time/correct-occurred-at.ts';
export type { OccurredAtInput } from './time/correct-occurred-at.ts';
export { checkUpcasters } from './upcast/check-upcasters.ts';
export type { UpcastFault } from './upcast/check-upcasters.ts';
export { upcastData } from './upcast/upcast-data.ts';
export { planUpcast } from './upcast/upcaster.ts';
export type { Upcaster, UpcastPlan, UpcastStep } from './upcast/upcaster.ts';
