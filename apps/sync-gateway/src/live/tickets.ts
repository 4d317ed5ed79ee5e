import { hash, randomBytes } from 'node:crypto';
import type { Database } from '@sync/postgres';
import { LIMITS } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { DeviceKey } from '../access/device-bindings.ts';

export interface IssuedTicket {
  readonly ticket: string;
  /** RFC 3339, ms. */
  readonly expiresAt: string;
}

/** Whom a ticket stood for, and what that user holds. */
export interface RedeemedTicket {
  readonly device: DeviceKey;
  readonly scopes: readonly string[];
}

const SHAPE = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})$/;
/** Unused tickets of one device: a client that asks for more is in a loop. */
const MAX_OPEN = 16;
/** As long may one signed request for a ticket come again. */
const REPEAT_MS = 5_000;

/**
 * Tickets for sockets, which cannot carry headers in a browser: `tenant.secret`, one use, 30 s. The tenant is
 * in it because row level security wants it before the look-up. It is no secret, and a wrong one finds
 * nothing.
 */
export class Tickets {
  readonly #database: Pick<Database, 'call'>;

  constructor(database: Pick<Database, 'call'>) {
    this.#database = database;
  }

  /**
   * @param signature of the request, which is good for one ticket
   * @throws ProblemError `rate_limited` when the device has too many unused ones, `signature_invalid` for a
   *   request that was used before
   */
  async issue({ tenantId, userId, deviceId }: DeviceKey, signature: string): Promise<IssuedTicket> {
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = new Date(Date.now() + LIMITS.ticketLifetimeMs).toISOString();
    const rows = await this.#database.call<{ issued: 'issued' | 'too_many' | 'replayed' }>(
      'issue_ticket',
      'SELECT issue_ticket($1, $2, $3, $4, $5, $6, $7, $8) AS issued',
      [tenantId, userId, deviceId, idOf(secret), LIMITS.ticketLifetimeMs, MAX_OPEN, signature, REPEAT_MS],
    );
    const issued = rows[0]?.issued;
    if (issued === 'replayed') {
      throw new ProblemError('signature_invalid', 'This request was used before: sign it again');
    }
    if (issued !== 'issued') {
      throw new ProblemError('rate_limited', `The device has ${MAX_OPEN} unused tickets`, {
        headers: { 'retry-after': String(LIMITS.ticketLifetimeMs / 1000) },
      });
    }
    return { ticket: `${tenantId}.${secret}`, expiresAt };
  }

  /** @returns null for a ticket that is unknown, used or expired; from then on it is used */
  async redeem(ticket: string): Promise<RedeemedTicket | null> {
    const [, tenantId, secret] = SHAPE.exec(ticket) ?? [];
    if (tenantId === undefined || secret === undefined) return null;
    const rows = await this.#database.call<{ user_id: string; device_id: string; scopes: string[] }>(
      'redeem_ticket',
      'SELECT * FROM redeem_ticket($1, $2)',
      [tenantId, idOf(secret)],
    );
    const row = rows[0];
    return row
      ? { device: { tenantId, userId: row.user_id, deviceId: row.device_id }, scopes: row.scopes }
      : null;
  }
}

/** 256 random bits need no salt and no slow hash. */
function idOf(secret: string): string {
  return hash('sha256', secret, 'base64url');
}
