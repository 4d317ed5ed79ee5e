import { ProblemError, type TokenClaims } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { SignedFields } from './authenticate-device.ts';

/** Who sent a request under `/sync/v1/`: token, signature and device binding have all been verified. */
export interface Caller {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  /** Server time when the request's body was complete, epoch milliseconds. */
  readonly receivedAtMs: number;
  /**
   * Device time minus server time by the signature's `created`: whole seconds, so good for health, not for
   * ordering.
   */
  readonly clockOffsetMs: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every `/sync/v1/` route before its body is read. */
    signed: SignedFields | null;
    /** Set on every `/sync/v1/` route before its handler runs. */
    caller: Caller | null;
    /** Set on every `/admin/` route before its handler runs; the token has a role for it. */
    admin: TokenClaims | null;
    /** The parsed body holds something that must not be stored: check it with `findUnstorable`. */
    bodySuspicious: boolean;
  }
}

/** The authenticated caller; a route outside `/sync/v1/` has none, and asking there is a fault of ours. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new ProblemError('internal', 'The route is not behind the device check');
  return request.caller;
}

/** The authenticated administrator of an `/admin/` route. */
export function adminOf(request: FastifyRequest): TokenClaims {
  if (!request.admin) throw new ProblemError('internal', 'The route is not behind the admin check');
  return request.admin;
}
