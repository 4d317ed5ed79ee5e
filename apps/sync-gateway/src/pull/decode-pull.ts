import { LIMITS, PullRequest, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { refuseRepeated } from '../edge/refuse-repeated.ts';
import type { CursorTokens } from './cursor-token.ts';
import type { AskedScope } from './pull-store.ts';

/** A pull as it is carried out. */
export interface DecodedPull {
  /** Null: every scope that the user holds. */
  readonly asked: readonly AskedScope[] | null;
  readonly limit: number;
  readonly waitMs: number;
  readonly backlog: PullRequest['backlog'];
}

const validate = validator(PullRequest);

/** @throws ProblemError `schema_invalid`, `limit_exceeded` or `cursor_invalid`, each with the offending paths */
export function decodePull(request: FastifyRequest, caller: Caller, tokens: CursorTokens): DecodedPull {
  const { scopes, limit = LIMITS.defaultDeltasPerPull, waitMs = 0, backlog } = decodeBody(request, validate);
  if (!scopes) return { asked: null, limit, waitMs, backlog };
  refuseRepeated(
    scopes.map(({ scope }) => scope),
    (at) => `/scopes/${at}/scope`,
  );
  const forged: string[] = [];
  const asked = scopes.map(({ scope, cursor }, at) => {
    const token = cursor ?? null;
    const position = token === null ? null : tokens.read(caller, scope, token);
    if (token !== null && position === null) forged.push(`/scopes/${at}/cursor`);
    return { scope, token, position };
  });
  refuseForged(forged);
  return { asked, limit, waitMs, backlog };
}

/** @throws ProblemError `cursor_invalid` when there is a path */
export function refuseForged(paths: readonly string[]): void {
  if (paths.length === 0) return;
  throw new ProblemError('cursor_invalid', `${paths[0] ?? ''}: not a cursor of this device and scope`, {
    errors: paths.map((path) => ({ path, message: 'not a cursor of this device and scope' })),
  });
}
