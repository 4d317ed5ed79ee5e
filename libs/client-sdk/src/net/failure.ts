import type { Failure, FailureKind } from './transport.ts';

/** Of what a server wrote; the rest is left out. */
const MAX_DETAIL_LENGTH = 500;

export function failure(
  kind: FailureKind,
  detail: string,
  more: Partial<Pick<Failure, 'status' | 'problem' | 'retryAfterMs' | 'cause'>> = {},
): Failure {
  const shortened = detail.length > MAX_DETAIL_LENGTH ? `${detail.slice(0, MAX_DETAIL_LENGTH)}…` : detail;
  return { ok: false, kind, status: null, problem: null, retryAfterMs: null, detail: shortened, ...more };
}
