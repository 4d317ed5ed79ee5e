/**
 * The bounds of protocol v1. Over a limit: 413 for bytes, 400 `limit_exceeded` for everything counted;
 * nothing is stored.
 */
export const LIMITS = {
  bodyCompressedBytes: 1_048_576,
  bodyInflatedBytes: 8_388_608,
  /**
   * A compressed body that is longer than `bodyCompressedBytes` when inflated was at most so much shorter: 500
   * puts of one note, each a word longer than the one before, are 300 times shorter.
   */
  inflationRatio: 512,
  jsonDepth: 32,
  mutationsPerPush: 500,
  deltasPerPull: 1_000,
  defaultDeltasPerPull: 500,
  scopesPerPull: 100,
  documentsPerPull: 100,
  /** A state vector as base64. */
  stateVectorLength: 65_536,
  outcomesPerPull: 500,
  outcomesPerAck: 1_000,
  clockEntries: 256,
  dependsOnPerMutation: 32,
  waitMs: 30_000,
  signatureSkewSeconds: 300,
  ticketLifetimeMs: 30_000,
  /** One mutation's `data` as JSON text. Larger content is a bundle, which this service does not carry. */
  mutationBytes: 262_144,
  /**
   * Characters of one mutation's `update`: 384 KiB as base64. A ConflictRecord that keeps it has 640 KiB, of
   * which two clocks may take 128; a body has 1 MiB.
   */
  updateLength: 524_288,
} as const;

/**
 * How deep JSON may be nested between the parts of the platform and in what they answer. A ConflictRecord in
 * an event holds what a device sent six levels deeper than the request did; what the door took must arrive.
 */
export const MESSAGE_DEPTH = 64;

/** A path may repeat a hostile key of megabytes; the answer must not. */
export const MAX_PATH_LENGTH = 300;
