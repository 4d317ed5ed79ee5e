import Type, { type Static } from 'typebox';
import { PROBLEM_CODES, type ProblemCode } from './problem-codes.ts';
import type { ReadOnly } from './read-only.ts';
import { Timestamp } from './scalars.ts';

/** RFC 9457 body. `errors` lists offending paths (JSON Pointer, RFC 6901). */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:sync-service:problem:<code>`' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What happened this time; for people.' }),
    code: Type.Unsafe<ProblemCode>(
      Type.Enum(Object.keys(PROBLEM_CODES), {
        'x-open': true,
        description: 'May grow within v1: an unknown code is handled by `status` and `retryable`.',
      }),
    ),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    serverTime: Timestamp,
    errors: Type.Optional(
      Type.Array(
        Type.Object({ path: Type.String({ description: 'JSON Pointer.' }), message: Type.String() }),
      ),
    ),
  },
  { $id: 'Problem' },
);
export type Problem = ReadOnly<Static<typeof Problem>>;

/**
 * @param code one of the closed list
 * @param detail what happened this time; never contains a secret or foreign data
 * @param serverTime RFC 3339 with milliseconds
 */
export function problem(
  code: ProblemCode,
  detail: string,
  serverTime: string,
  errors?: readonly { readonly path: string; readonly message: string }[],
): Problem {
  const kind = PROBLEM_CODES[code];
  return {
    type: `urn:sync-service:problem:${code}`,
    title: kind.title,
    status: kind.status,
    detail,
    code,
    retryable: kind.retryable,
    serverTime,
    ...(errors && errors.length > 0 ? { errors } : {}),
  };
}

/** What a {@link Refusal} may say besides its code. */
export interface RefusalOptions {
  /** Offending places, JSON Pointers into the body. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** Members that the problem document has besides, as `conflict_already_resolved` has the record. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error that is answered with a problem document (RFC 9457). */
export class Refusal<Options extends RefusalOptions = RefusalOptions> extends Error {
  readonly code: ProblemCode;
  readonly options: Options;

  /** @param detail what happened this time; never contains a secret or foreign data */
  constructor(code: ProblemCode, detail: string, options: Options) {
    super(detail, { cause: options.cause });
    this.code = code;
    this.options = options;
  }

  /** Of the answer. */
  get status(): number {
    return PROBLEM_CODES[this.code].status;
  }

  /** The problem as it is answered at this time, in milliseconds since 1970. */
  toBody(nowMs: number): Problem & Readonly<Record<string, unknown>> {
    const { errors, extra } = this.options;
    return { ...problem(this.code, this.message, new Date(nowMs).toISOString(), errors), ...extra };
  }
}
