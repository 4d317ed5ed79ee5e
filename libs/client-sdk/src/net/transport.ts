import type { Problem } from '@sync/protocol';

/** Sends the requests of a device, signed, and says of each answer what can be done about it. */
export interface Transport {
  /** @throws never: what goes wrong is a {@link Failure} */
  send<T>(call: Call): Promise<Answer<T>>;
  /** Hears from the server when there is something to pull, until it is closed. */
  listen?(listener: LiveListener): LiveLine;
}

/** What hears from a {@link LiveLine}. */
export interface LiveListener {
  /** Scopes in which something new can be pulled: perhaps too many, never too few while it is open. */
  readonly onNotice: (scopes: readonly string[]) => void;
  /** Called with each new state. */
  readonly onState: (state: LiveState) => void;
}

/** The line on which the server says that there is something to pull. */
export interface LiveLine {
  /** There may be a network again: a pause ends now, though not more often than every five seconds. */
  wake(): void;
  /** For good; nothing is called any more. */
  close(): void;
}

/**
 * How a {@link LiveLine} stands.
 *
 * | kind         |                                                                                       |
 * | ------------ | ------------------------------------------------------------------------------------- |
 * | `connecting` | a ticket is asked for, or a socket is opened                                          |
 * | `open`       | it is there; pull now, for what came before was told to nobody                        |
 * | `waiting`    | it comes back after `ms`; `failure` is that of the ticket, `code` that of the socket  |
 * | `ended`      | for good, because the device is not bound any more: ask by a pull before data goes    |
 */
export type LiveState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'waiting';
      readonly ms: number;
      readonly code: number | null;
      readonly failure: Failure | null;
    }
  | { readonly kind: 'ended'; readonly why: 'revoked' | 'not_bound' };

/** A request, as it is asked for. */
export interface Call {
  readonly method: 'GET' | 'POST';
  /** With its query, such as `/sync/v1/pull`. */
  readonly path: string;
  /** Of a POST. */
  readonly body?: unknown;
  /**
   * Each request of it is given up after so long; a waiting pull adds its own time. There are three at the
   * most: one more with another token, and one with the right time.
   */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What came of a {@link Call}. */
export type Answer<T> = Success<T> | Failure;

export interface Success<T> {
  readonly ok: true;
  readonly body: T;
}

/**
 * A request that did not succeed.
 *
 * | kind             | what came                             | what the device does                  |
 * | ---------------- | ------------------------------------- | ------------------------------------- |
 * | `offline`        | no network, a time-out, a broken line | waits with growing pauses             |
 * | `busy`           | 429, 503, what else is `retryable`    | waits for as long as it was told      |
 * | `garbage`        | HTML, a cut answer, no JSON           | waits with growing pauses             |
 * | `needs_auth`     | 401 `unauthenticated`, or no token    | asks the app for a token              |
 * | `wrong_clock`    | 401 `clock_skew`, corrected or not    | waits with growing pauses             |
 * | `revoked`        | 403 `device_revoked`                  | stops; removes its data               |
 * | `not_bound`      | 403 `device_not_bound`                | stops; the app binds the device again |
 * | `too_large`      | 413, 400 `limit_exceeded`             | sends less at once                    |
 * | `cursor_invalid` | 400 `cursor_invalid`                  | pulls that scope from its beginning   |
 * | `refused`        | any other 4xx                         | does not send that again as it is     |
 * | `aborted`        | the caller's own signal               | nothing                               |
 */
export interface Failure {
  readonly ok: false;
  readonly kind: FailureKind;
  /** The HTTP status, where one came. */
  readonly status: number | null;
  readonly problem: Problem | null;
  /** Not before so long, where the server said so. */
  readonly retryAfterMs: number | null;
  /** In one sentence, for people who look into it. */
  readonly detail: string;
  readonly cause?: unknown;
}

/** Of a {@link Failure}, where each is explained. */
export type FailureKind =
  | 'offline'
  | 'busy'
  | 'garbage'
  | 'needs_auth'
  | 'wrong_clock'
  | 'revoked'
  | 'not_bound'
  | 'too_large'
  | 'cursor_invalid'
  | 'refused'
  | 'aborted';

/** Who the device is. The key itself is with {@link DeviceKey}. */
export interface DeviceIdentity {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

/**
 * The key of the device, that nobody can read out of it: WebCrypto where there is one, and for React Native
 * whatever the app brings.
 */
export interface DeviceKey {
  /** HMAC-SHA-256 of the text in UTF-8 with the device's own key, in base64: signs requests. */
  sign(text: string): Promise<string>;
  /** The same with the key of tags (PUSH-22). */
  tag(text: string): Promise<string>;
}
