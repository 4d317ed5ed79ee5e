import { decodeStateVector, RefusedUpdateError } from '@sync/documents';
import {
  type AckRequest,
  type HeldDocument as HeldDocumentText,
  LIMITS,
  PullRequest,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { refuseRepeated } from '../edge/refuse-repeated.ts';
import type { CursorTokens } from './cursor-token.ts';
import type { AskedScope, HeldDocument } from './pull-store.ts';

/** A pull as it is carried out. */
export interface DecodedPull {
  /** Null: every scope that the user holds. */
  readonly asked: readonly AskedScope[] | null;
  readonly limit: number;
  readonly waitMs: number;
  readonly backlog: PullRequest['backlog'];
}

const validate = validator(PullRequest);

/** A pull with the ack that is to be carried out before it, as it was sent. */
export type PullWithAck = DecodedPull & { readonly ack: AckRequest | undefined };

/**
 * @throws ProblemError `schema_invalid`, `limit_exceeded` or `cursor_invalid`, each with the offending paths
 */
export function decodePull(request: FastifyRequest, caller: Caller, tokens: CursorTokens): PullWithAck {
  const body = decodeBody(request, validate);
  const { scopes, limit = LIMITS.defaultDeltasPerPull, waitMs = 0, ack } = body;
  const backlog = countsOf(body.backlog ?? ack?.backlog);
  if (!scopes) return { asked: null, limit, waitMs, backlog, ack };
  refuseRepeated(
    scopes.map(({ scope }) => scope),
    (at) => `/scopes/${at}/scope`,
  );
  const forged: string[] = [];
  const counted = scopes.reduce((sum, { documents = [] }) => sum + documents.length, 0);
  if (counted > LIMITS.documentsPerPull) {
    throw new ProblemError('limit_exceeded', `a pull names at most ${LIMITS.documentsPerPull} documents`);
  }
  const asked = scopes.map(({ scope, cursor, documents }, at) => {
    const token = cursor ?? null;
    const position = token === null ? null : tokens.read(caller, scope, token);
    if (token !== null && position === null) forged.push(`/scopes/${at}/cursor`);
    if (!documents) return { scope, token, position };
    return { scope, token, position, documents: decodeHeld(documents, `/scopes/${at}/documents`) };
  });
  refuseForged(forged);
  return { asked, limit, waitMs, backlog, ack };
}

/** A pull that waits must not hold what stands beside the fields that it knows. */
function countsOf(backlog: PullRequest['backlog']): PullRequest['backlog'] {
  return backlog && { pending: backlog.pending, oldestAt: backlog.oldestAt ?? null };
}

/**
 * @throws ProblemError `schema_invalid` for a document that stands there twice, or bytes that are no state
 * vector
 */
function decodeHeld(documents: readonly HeldDocumentText[], path: string): HeldDocument[] {
  refuseRepeated(
    documents.map(({ entityType, entityId }) => `${entityType}\0${entityId}`),
    (at) => `${path}/${at}`,
  );
  return documents.map(({ entityType, entityId, epoch, stateVector: text }, at) => {
    const stateVector = Buffer.from(text, 'base64');
    try {
      decodeStateVector(stateVector);
      return { entityType, entityId, epoch, stateVector };
    } catch (error) {
      if (!(error instanceof RefusedUpdateError)) throw error;
      const fault = { path: `${path}/${at}/stateVector`, message: 'not a Yjs state vector' };
      throw new ProblemError('schema_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
    }
  });
}

/** @throws ProblemError `cursor_invalid` when there is a path */
export function refuseForged(paths: readonly string[]): void {
  if (paths.length === 0) return;
  throw new ProblemError('cursor_invalid', `${paths[0] ?? ''}: not a cursor of this device and scope`, {
    errors: paths.map((path) => ({ path, message: 'not a cursor of this device and scope' })),
  });
}
