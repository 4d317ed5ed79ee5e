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

/** What a request body may have; see {@link BODY_LIMITS}. */
export interface BodyLimits {
  /** Bytes as sent, compressed or not. */
  readonly sentBytes: number;
  /** Bytes after inflation. */
  readonly inflatedBytes: number;
  /** Commas and opening brackets outside of strings: about one for each value of the JSON. */
  readonly jsonValues: number;
}

/**
 * The bounds of a body by what it is for. Only what carries entities needs much: parsing costs by the value,
 * not by the byte, and a field that is ignored costs as much as one that is read.
 */
export const BODY_LIMITS = {
  /** A push, a resolution, a registration. */
  entities: {
    sentBytes: LIMITS.bodyCompressedBytes,
    inflatedBytes: LIMITS.bodyInflatedBytes,
    jsonValues: 250_000,
  },
  /** State vectors of 100 documents hardly compress: with 1 MiB as sent they stay far below the second. */
  pull: { sentBytes: LIMITS.bodyCompressedBytes, inflatedBytes: 2_097_152, jsonValues: 10_000 },
  /** Everything else: 1,000 outcomes and 100 cursors of an ack are 320 KB at the most. */
  other: { sentBytes: 524_288, inflatedBytes: 524_288, jsonValues: 10_000 },
} as const satisfies Record<string, BodyLimits>;
