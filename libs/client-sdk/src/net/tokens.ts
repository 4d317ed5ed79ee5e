import type { Clock } from '../clock/clock.ts';
import { Cutoff } from './cutoff.ts';
import { failure } from './failure.ts';
import type { Failure } from './transport.ts';

/**
 * Why a token is asked for: none is held (`needed`), or the server did not take the one before (`refused`),
 * so that the app has to get a fresh one.
 */
export type TokenReason = 'needed' | 'refused';

/** The app’s own: it gives an access token of the identity service, from its cache or freshly. */
export type GetToken = (reason: TokenReason) => Promise<string>;

export interface HeldToken {
  readonly ok: true;
  readonly token: string;
}

/** A person may have to sign in meanwhile; what comes later than this is kept for the next request. */
export const TOKEN_LIMIT_MS = 30_000;

/** What may stand in a header field, and no longer than all fields together may be. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** Holds the access token. However many requests need one at a time, the app is asked once. */
export class Tokens {
  readonly #getToken: GetToken;
  readonly #clock: Clock;
  #held: string | null = null;
  #reason: TokenReason = 'needed';
  #asking: Promise<string> | null = null;

  constructor(getToken: GetToken, clock: Clock) {
    this.#getToken = getToken;
    this.#clock = clock;
  }

  /** @returns never rejects; `needs_auth` when the app gives none in time, `aborted` */
  async current(signal?: AbortSignal): Promise<HeldToken | Failure> {
    return this.#held === null ? this.#ask(signal) : { ok: true, token: this.#held };
  }

  /** The server did not take it: another one is asked for next time. */
  refuse(token: string): void {
    if (this.#held !== token) return;
    this.#held = null;
    this.#reason = 'refused';
  }

  async #ask(signal: AbortSignal | undefined): Promise<HeldToken | Failure> {
    const cutoff = new Cutoff(this.#clock, TOKEN_LIMIT_MS, signal);
    const asking = (this.#asking ??= this.#askApp());
    try {
      return { ok: true, token: await cutoff.race(asking) };
    } catch (cause) {
      if (cutoff.why === 'aborted') return failure('aborted', 'Given up while a token was asked for');
      // One that never answers must not be waited for by all that come after.
      if (cutoff.why === 'late' && this.#asking === asking) this.#asking = null;
      return failure('needs_auth', `The app gave no token: ${messageOf(cause)}`, { cause });
    } finally {
      cutoff.release();
    }
  }

  #askApp(): Promise<string> {
    const asking = (async () => {
      const token: unknown = await this.#getToken(this.#reason);
      if (typeof token !== 'string' || !TOKEN.test(token)) throw new TypeError('it is no token');
      return token;
    })();
    const end = (): void => {
      if (this.#asking === asking) this.#asking = null;
    };
    asking.then((token) => {
      // Of two that were asked for, the one that is held was asked for later.
      if (this.#asking === asking || this.#held === null) this.#held = token;
      end();
    }, end);
    return asking;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
