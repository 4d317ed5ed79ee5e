import { readJson } from '@sync/domain';
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

/** Where a device stands in one scope. Sequences are 64 bits wide and therefore decimal text. */
export interface CursorPosition {
  /** The region whose projector counts; '' in a scope into which nothing was ever projected. */
  readonly origin: string;
  /** '0' in a scope into which nothing was ever projected. */
  readonly epoch: string;
  readonly sequence: string;
  /**
   * While a full resync is being paged: the head at its start, below which deletions need not be sent; else
   * '0'.
   */
  readonly floor: string;
  /**
   * Of the device's copy: what was begun anew, purged or declared bad since is not continued with this token.
   */
  readonly generation: string;
}

/** What a token is bound to: presented by anybody else, or for another scope, it is forged. */
export interface CursorOwner {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

const MAC_BYTES = 16;
const SHAPE = /^([A-Za-z0-9_-]{1,1500})\.([A-Za-z0-9_-]{22})$/;
const POSITION = /^(0|[1-9]\d{0,18})$/;

/**
 * SyncCursor tokens: `base64url(payload).base64url(HMAC-SHA256(…)[0..15])`.
 *
 * The payload is JSON, `[{origin: [epoch, sequence]}, generation, floor?]`: a map, so that a second region
 * adds an entry and renumbers nothing. 16 bytes of MAC leave a forger 2^-128; the token travels in every
 * request, so each byte counts.
 */
export class CursorTokens {
  readonly #key: KeyObject;

  /** @param secret at least 16 characters, the same on all replicas */
  constructor(secret: string) {
    if (secret.length < 16) throw new RangeError('CursorTokens: the secret needs at least 16 characters');
    this.#key = createSecretKey(Buffer.from(secret, 'utf8'));
  }

  mint(owner: CursorOwner, scope: string, position: CursorPosition): string {
    const { origin, epoch, sequence, floor, generation } = position;
    const positions = origin === '' ? {} : { [origin]: [epoch, sequence] };
    const fields = floor === '0' ? [positions, generation] : [positions, generation, floor];
    const payload = Buffer.from(JSON.stringify(fields), 'utf8').toString('base64url');
    return `${payload}.${this.#mac(owner, scope, payload).toString('base64url')}`;
  }

  /**
   * @returns null for a token that is malformed, forged, or bound to somebody or something else; not telling
   * which is deliberate
   */
  read(owner: CursorOwner, scope: string, token: string): CursorPosition | null {
    const match = SHAPE.exec(token);
    if (!match) return null;
    const [, payload = '', mac = ''] = match;
    // As text: the last character of 16 bytes has bits to spare, and decoding would ignore them.
    const expected = this.#mac(owner, scope, payload).toString('base64url');
    if (!timingSafeEqual(Buffer.from(mac), Buffer.from(expected))) return null;
    return decode(Buffer.from(payload, 'base64url').toString('utf8'));
  }

  /** Ids and scopes hold no NUL, so the parts cannot run into each other. */
  #mac({ tenantId, userId, deviceId }: CursorOwner, scope: string, payload: string): Buffer {
    const text = `cursor\0${tenantId}\0${userId}\0${deviceId}\0${scope}\0${payload}`;
    return createHmac('sha256', this.#key).update(text).digest().subarray(0, MAC_BYTES);
  }
}

/**
 * Only what `mint` once wrote comes here; the checks guard against a key that was used for something else.
 */
function decode(json: string): CursorPosition | null {
  const fields: unknown = readJson(json);
  if (!Array.isArray(fields)) return null;
  const [positions, generation, floor = '0'] = fields as [unknown, unknown, unknown?];
  if (typeof positions !== 'object' || positions === null || !isPosition(generation) || !isPosition(floor))
    return null;
  const first: [string, unknown] | undefined = Object.entries(positions)[0];
  if (!first) return { origin: '', epoch: '0', sequence: '0', floor, generation };
  const [origin, entry] = first;
  if (!Array.isArray(entry)) return null;
  const [epoch, sequence] = entry as unknown[];
  return typeof epoch === 'string' && isPosition(sequence)
    ? { origin, epoch, sequence, floor, generation }
    : null;
}

function isPosition(value: unknown): value is string {
  return typeof value === 'string' && POSITION.test(value);
}
