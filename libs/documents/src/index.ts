export { ADMISSION_LIMITS, admitUpdate } from './admission/admit-update.ts';
export type {
  Admission,
  AdmissionLimits,
  ClientOwner,
  DocumentHead,
  UpdateAuthor,
} from './admission/admit-update.ts';
export { CLIENT_ID_RANGES, authorKindOf, drawClientId } from './admission/client-ids.ts';
export type { AuthorKind } from './admission/client-ids.ts';
export { WrittenContent } from './admission/written-content.ts';
export { compareRepeated } from './admission/compare-repeated.ts';
export type { Repeated } from './admission/compare-repeated.ts';
export { readUpdate } from './admission/read-update.ts';
export type { ClientRun, UpdateOutline } from './admission/read-update.ts';
export { REFUSALS, RefusedUpdateError } from './admission/refusal.ts';
export type { Refusal, RefusalCode } from './admission/refusal.ts';
export { advanceStateVector, decodeStateVector, encodeStateVector } from './state/state-vector.ts';
export type { StateVector } from './state/state-vector.ts';
export { TooDeepError } from './state/nesting-depth.ts';
export { IncompleteStateError, diffFor, squash, stateVectorOf } from './state/document-state.ts';
export { restoreUpdate } from './state/restore-update.ts';
export { rewriteLines } from './state/rewrite-lines.ts';
export type { LineEdit, Rewritten } from './state/rewrite-lines.ts';
export { findOverlaps } from './overlap/find-overlaps.ts';
export type { Block, Overlap, OverlapGrade, OverlapKind, OverlapReport } from './overlap/overlap.ts';
export { EMPTY_STATE, OpenDocument, tooLarge } from './open/open-document.ts';
export type {
  ChangeOrigin,
  DocumentLimits,
  LoggedUpdate,
  RejectedUpdate,
  StoredDocument,
  TakenPart,
} from './open/open-document.ts';
export { sidesOf } from './open/sides-of.ts';
export type { Sides } from './open/sides-of.ts';
