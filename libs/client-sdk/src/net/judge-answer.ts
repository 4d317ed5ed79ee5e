import type { Problem } from '@sync/protocol';
import type { ProblemCode } from '@sync/protocol/device';
import { failure } from './failure.ts';
import type { ReceivedAnswer } from './read-answer.ts';
import { readHttpDate, retryAfterMs } from './retry-after.ts';
import type { Answer, FailureKind } from './transport.ts';

/** Codes that a device does something of its own about. Under another status they are not believed. */
export const KINDS_BY_CODE: Readonly<
  Partial<Record<ProblemCode, readonly [status: number, kind: FailureKind]>>
> = {
  unauthenticated: [401, 'needs_auth'],
  clock_skew: [401, 'wrong_clock'],
  device_revoked: [403, 'revoked'],
  device_not_bound: [403, 'not_bound'],
  payload_too_large: [413, 'too_large'],
  limit_exceeded: [400, 'too_large'],
  cursor_invalid: [400, 'cursor_invalid'],
};

/**
 * What an answer means. Strict: a portal of a hotel, a proxy and a server of somebody else answer, too, and
 * none of them may be taken for ours.
 * @param serverNowMs the best guess, for a `Retry-After` that is a date
 */
export function judgeAnswer<T>(received: ReceivedAnswer, serverNowMs: number): Answer<T> {
  const { status, body, fault, contentType } = received;
  const told = { status, retryAfterMs: retryAfterMs(received.retryAfter, serverNowMs) };
  if ((status === 200 || status === 202) && contentType === 'application/json' && hasServerTime(body))
    return { ok: true, body: body as T };
  const problem = problemOf(received);
  if (problem) {
    return failure(kindOf(problem), `${problem.title}: ${problem.detail}`, { ...told, problem });
  }
  const what = fault ?? 'JSON that is not of this protocol';
  return failure(kindOfStatus(status), `Status ${status} with ${what}`, told);
}

/**
 * When the server wrote its answer: `serverTime`, or `Date` of a problem without one. Nobody else is asked
 * what time it is.
 */
export function serverTimeOf(
  received: ReceivedAnswer,
): { readonly serverMs: number; readonly precisionMs: number } | null {
  const { body, contentType, status, date } = received;
  if (hasServerTime(body)) return { serverMs: Date.parse(body.serverTime), precisionMs: 1 };
  const isProblem = status >= 400 && contentType === 'application/problem+json' && isObject(body);
  const serverMs = isProblem ? readHttpDate(date) : null;
  return serverMs === null ? null : { serverMs, precisionMs: 1_000 };
}

function problemOf({ status, contentType, body }: ReceivedAnswer): Problem | null {
  if (status < 400 || contentType !== 'application/problem+json' || !isObject(body)) return null;
  const { code, title, detail, retryable } = body;
  const isComplete = [code, title, detail].every((text) => typeof text === 'string');
  const isOurs = body['type'] === `urn:sync-service:problem:${String(code)}`;
  if (!isComplete || !isOurs || typeof retryable !== 'boolean' || body['status'] !== status) return null;
  return body as unknown as Problem;
}

function kindOf({ code, status, retryable }: Problem): FailureKind {
  const [expected, kind] = KINDS_BY_CODE[code] ?? [];
  if (kind !== undefined && expected === status) return kind;
  if (status === 413) return 'too_large';
  return retryable || status === 429 || status >= 500 ? 'busy' : 'refused';
}

/** 511 is what a portal says that wants a person to sign in. */
function kindOfStatus(status: number): FailureKind {
  if (status === 413) return 'too_large';
  return [408, 425, 429].includes(status) || (status >= 500 && status !== 511) ? 'busy' : 'garbage';
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function hasServerTime(body: unknown): body is { readonly serverTime: string } {
  if (!isObject(body)) return false;
  const { serverTime } = body;
  return typeof serverTime === 'string' && RFC3339.test(serverTime) && !Number.isNaN(Date.parse(serverTime));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
