import type { Clock } from '../clock/clock.ts';
import { systemClock } from '../clock/clock.ts';
import { ClockOffset } from './clock-offset.ts';
import { Cutoff } from './cutoff.ts';
import { encodeBody, type EncodedBody } from './encode-body.ts';
import { failure } from './failure.ts';
import { checkIdentity } from './identity.ts';
import { judgeAnswer, serverTimeOf } from './judge-answer.ts';
import { LiveSocket, type SocketLike } from './live-socket.ts';
import { type ReceivedAnswer, readAnswer } from './read-answer.ts';
import { signRequest } from './sign-request.ts';
import { type GetToken, type HeldToken, Tokens } from './tokens.ts';
import type {
  Answer,
  Call,
  DeviceIdentity,
  DeviceKey,
  Failure,
  LiveLine,
  LiveListener,
  Transport,
} from './transport.ts';

/** What {@link createHttpTransport} works with. */
export interface HttpTransportOptions {
  /** Such as `https://sync.example.com`. A path in front of `/sync/v1/` is left out of what is signed. */
  readonly gatewayUrl: string;
  readonly identity: DeviceIdentity;
  readonly key: DeviceKey;
  /** Asked when none is held, and again when the server refuses the one that was given. */
  readonly token: GetToken;
  /** The platform's unless given. */
  readonly fetch?: typeof fetch;
  /**
   * The socket that says when to pull; null for none, so that pulls wait for news. It is `new WebSocket(url)`
   * unless given, where there is one: Node has it from version 22 on.
   */
  readonly openSocket?: ((url: string) => SocketLike) | null;
  readonly clock?: Clock;
  /** Of one answer, inflated. A page has 32 MiB of deltas at the most. */
  readonly maxAnswerBytes?: number;
}

/** A {@link Transport} by `fetch`. */
export interface HttpTransport extends Transport {
  /** How far the server’s clock is before the device’s, in milliseconds; null before the first answer. */
  readonly offsetMs: number | null;
}

const MAX_ANSWER_BYTES = 67_108_864;
const GATEWAY_URL = /^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/i;
/** Only what no platform writes in another way, because it is signed as it stands. */
const PATH = /^(\/[\w.~!$&()*+,;=:@%-]+)+(\?[\w.~!$&()*+,;=:@%/?-]*)?$/;

/** @throws TypeError for a URL that is none of a gateway, and for an identity with an id that is none */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  return new SigningTransport(options);
}

class SigningTransport implements HttpTransport {
  readonly #options: HttpTransportOptions;
  readonly #base: string;
  readonly #clock: Clock;
  readonly #tokens: Tokens;
  readonly #offset = new ClockOffset();
  readonly listen?: (listener: LiveListener) => LiveLine;

  constructor(options: HttpTransportOptions) {
    checkIdentity(options.identity);
    if (!GATEWAY_URL.test(options.gatewayUrl))
      throw new TypeError(`${options.gatewayUrl} is no URL of a gateway`);
    this.#options = options;
    this.#base = options.gatewayUrl.replace(/\/+$/, '');
    this.#clock = options.clock ?? systemClock;
    this.#tokens = new Tokens(options.token, this.#clock);
    const { openSocket = ownSocket() } = options;
    if (openSocket) this.listen = (listener) => this.#listen(listener, openSocket);
  }

  #listen(listener: LiveListener, openSocket: (url: string) => SocketLike): LiveLine {
    return new LiveSocket({
      ...{ gatewayUrl: this.#base, transport: this, clock: this.#clock, openSocket },
      ...listener,
    });
  }

  get offsetMs(): number | null {
    return this.#offset.offsetMs;
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    try {
      return await this.#send<T>(call);
    } catch (cause) {
      // Such as a body that is no JSON, or a key that does not sign: as it is, it will never go.
      return failure('refused', 'The request could not be made', { cause });
    }
  }

  async #send<T>(call: Call): Promise<Answer<T>> {
    if (call.signal?.aborted) return failure('aborted', 'Given up before it was sent');
    if (!PATH.test(call.path)) return failure('refused', `${call.path} is no encoded path`);
    const body = call.body === undefined ? null : await encodeBody(call.body);
    if (body?.ok === false) return body;
    let held = await this.#tokens.current(call.signal);
    let mayRefresh = true;
    let mayCorrect = true;
    for (;;) {
      if (!held.ok) return held;
      const { answer, measured } = await this.#exchange<T>(call, body, held);
      if (answer.ok) return answer;
      if (answer.kind === 'needs_auth') {
        const refused = held.token;
        this.#tokens.refuse(refused);
        if (!mayRefresh) return answer;
        mayRefresh = false;
        held = await this.#tokens.current(call.signal);
        if (held.ok && held.token === refused) return answer;
      } else if (answer.kind === 'wrong_clock' && mayCorrect && measured) {
        mayCorrect = false;
      } else return answer;
    }
  }

  /** One request and its answer. */
  async #exchange<T>(
    call: Call,
    body: EncodedBody | null,
    { token }: HeldToken,
  ): Promise<{ readonly answer: Answer<T>; readonly measured: boolean }> {
    const cutoff = new Cutoff(this.#clock, call.timeoutMs, call.signal);
    let isSigned = false;
    try {
      const init = await cutoff.race(this.#signed(call, body, token));
      isSigned = true;
      const sentMs = this.#clock.now();
      const received = await cutoff.race(this.#fetch(call.path, { ...init, signal: cutoff.signal }));
      const measured = this.#measure(sentMs, received);
      const serverNowMs = this.#clock.now() + (this.offsetMs ?? 0);
      return { answer: judgeAnswer<T>(received, serverNowMs), measured };
    } catch (cause) {
      if (!isSigned && cutoff.why === null) throw cause;
      return { answer: brokenOff(cutoff, cause), measured: false };
    } finally {
      cutoff.release();
    }
  }

  async #signed({ method, path }: Call, body: EncodedBody | null, token: string): Promise<RequestInit> {
    const seconds = Math.floor((this.#clock.now() + (this.offsetMs ?? 0)) / 1_000);
    const { identity, key } = this.#options;
    // A clock before 1970 is told what time it is like any other.
    const when = { createdSeconds: Math.max(0, seconds), token, deviceId: identity.deviceId };
    const fields = await signRequest({ method, path, body: body?.bytes ?? null, ...when }, key);
    return {
      method,
      headers: {
        ...fields,
        accept: 'application/json, application/problem+json',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(body?.encoding ? { 'content-encoding': body.encoding } : {}),
      },
      ...(body ? { body: body.bytes } : {}),
      // A signed request that follows a redirect shows its token to whoever stands there. `cache` is left
      // alone: for it, React Native puts a parameter into the query, which is signed.
      ...{ redirect: 'manual', credentials: 'omit' },
    };
  }

  async #fetch(path: string, init: RequestInit): Promise<ReceivedAnswer> {
    // Called as a function of its own: a browser’s refuses to be a method of something else.
    const fetchAny = this.#options.fetch ?? fetch;
    const response = await fetchAny(`${this.#base}${path}`, init);
    return readAnswer(response, this.#options.maxAnswerBytes ?? MAX_ANSWER_BYTES);
  }

  /** @returns whether the answer says what time it is */
  #measure(sentMs: number, received: ReceivedAnswer): boolean {
    const time = serverTimeOf(received);
    if (time) this.#offset.note({ sentMs, receivedMs: this.#clock.now(), ...time });
    return time !== null;
  }
}

function ownSocket(): ((url: string) => SocketLike) | null {
  return typeof WebSocket === 'undefined' ? null : (url) => new WebSocket(url);
}

function brokenOff(cutoff: Cutoff, cause: unknown): Failure {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (cutoff.why === 'aborted') return failure('aborted', why, { cause });
  return failure('offline', cutoff.why === 'late' ? why : `The network failed: ${why}`, { cause });
}
