import type { JsonObject } from '@sync/domain';
import { ADMIN_ROLES, type AdminOperation, type AuditOutcome, operationIdOf } from '@sync/protocol';
import { ProblemError, type TokenClaims } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { AuditDraft } from './audit-entry.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every `/admin/` route as soon as its caller has a name, before the roles are looked at. */
    act: AdminAct | null;
  }
}

/** Of a route under `/admin/` that `ADMIN_OPERATIONS` does not have; nobody may use it. */
const UNLISTED = 'unlisted';
const NO_DETAIL: JsonObject = {};

/**
 * What somebody does, or tries to do, with one request under `/admin/`.
 *
 * ```
 * open ─▶ recorded    its last line is in the log, or on the way there
 * ```
 *
 * A request that ends open was refused, and gets its line at the edge; one that succeeded and is open is a
 * fault of ours (`install-audit.ts`).
 */
export class AdminAct {
  /** Whose chain it is written into. */
  readonly chain: string;
  readonly changes: boolean;
  readonly #operation: string;
  readonly #target: string;
  readonly #requestId: string;
  readonly #claims: TokenClaims;
  #isRecorded = false;

  /** @param operation null for a route that no list has */
  constructor(
    request: FastifyRequest,
    claims: TokenClaims,
    operation: AdminOperation | null,
    platformTenant: string,
  ) {
    // What only operators may do belongs to the platform, whoever tries it.
    const isOfPlatform = operation?.roles.every((role) => role === 'sync-operator') === true;
    this.chain = isOfPlatform ? platformTenant : claims.tenantId;
    this.changes = operation !== null && 'audited' in operation;
    this.#operation = operation === null ? UNLISTED : operationIdOf(operation);
    this.#target = (request.url.split('?')[0] ?? '').replace('/admin/v1/', '');
    this.#requestId = request.id;
    this.#claims = claims;
  }

  get isRecorded(): boolean {
    return this.#isRecorded;
  }

  /** Its last line is written; no other will be. */
  recorded(): void {
    this.#isRecorded = true;
  }

  draft(
    outcome: AuditOutcome,
    { code = null, attempt = null, detail = NO_DETAIL }: Partial<AuditDraft> = {},
  ): AuditDraft {
    const { tenantId, userId, roles } = this.#claims;
    const known = ADMIN_ROLES.filter((role) => roles.includes(role));
    return {
      at: new Date().toISOString(),
      actor: { kind: 'person', tenantId, userId, roles: known },
      operation: this.#operation,
      target: this.#target,
      requestId: this.#requestId,
      ...{ outcome, code, attempt, count: 1, detail },
    };
  }
}

/** The act of a request under `/admin/`. */
export function actOf(request: FastifyRequest): AdminAct {
  if (!request.act) throw new ProblemError('internal', 'The route is not behind the admin check');
  return request.act;
}
