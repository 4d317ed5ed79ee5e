import { LIMITS } from './limits.ts';

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
