/**
 * What a device needs of the protocol at run time: what is signed, limits and codes. Nothing here imports the
 * schemas, and with them a library that a browser would have to load. Their types cost nothing: a client
 * takes them from the main entry with `import type`.
 */
export { LIMITS } from './limits.ts';
export { LIVE_CLOSE_CODES } from './live-close-codes.ts';
export { findUnstorable, isNestedDeeper } from './parse-json.ts';
export { OUTCOME_CODES, type OutcomeCode } from './outcome-codes.ts';
export { PROBLEM_CODES, type ProblemCode, type ProblemKind } from './problem-codes.ts';
export {
  DEVICE_ID_PATTERN,
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  MUTATION_ID_PATTERN,
  SCOPE_PATTERN,
  TENANT_ID_PATTERN,
  USER_ID_PATTERN,
} from './patterns.ts';
export { signatureBase, signatureComponents, signatureParams, type SignedRequest } from './http-signature.ts';
export { withoutServerSide } from './without-server-side.ts';
export { type TagAuthor, tagKeyInfo, taggedText } from './mutation-tag.ts';
