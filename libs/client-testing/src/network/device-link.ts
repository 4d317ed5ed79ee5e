import type { Answer, Call, Clock, DeviceIdentity, DeviceKey, Failure, Transport } from '@sync/client';
import { judgeAnswer } from '@sync/client/for-tests';
import { PROBLEM_CODES, type ProblemCode } from '@sync/protocol';
import type { DeviceCall } from '../server/answer-call.ts';
import { RefusedRequest } from '../server/refused-request.ts';

const ANY_HASH = `${'A'.repeat(43)}=`;
/** Nothing is signed on the way into the same process, and no tag is compared. */
const ANY_KEY: DeviceKey = { sign: async () => ANY_HASH, tag: async () => ANY_HASH };

type Ask = (call: DeviceCall) => Promise<unknown>;
/** A request of a device, by its path. */
export type Operation = 'pull' | 'push' | 'ack' | 'resolve-conflict';

/** A {@link Transport} into the same process, whose network a test turns off, delays and breaks. */
export class DeviceLink implements Transport {
  /** What `createSyncClient` has to be told of the device. */
  readonly options: {
    readonly identity: DeviceIdentity;
    readonly key: DeviceKey;
    readonly transport: Transport;
    readonly clock: Clock;
  };
  readonly #ask: Ask;
  readonly #clock: Clock;
  #isOffline = false;
  #delayMs = 0;
  #loses: { count: number; readonly operation: Operation | null } = { count: 0, operation: null };
  readonly #faults: { readonly operation: Operation | null; readonly code: ProblemCode }[] = [];
  readonly #cuts = new Set<() => void>();
  /** Every request that was made, in order. */
  readonly calls: Call[] = [];

  constructor(identity: DeviceIdentity, ask: Ask, clock: Clock) {
    this.options = { identity, key: ANY_KEY, transport: this, clock };
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Nothing arrives any more; what is under way is cut off. The app is not told: see `networkChanged`. */
  offline(): void {
    this.#isOffline = true;
    for (const cut of [...this.#cuts]) cut();
  }

  /** The network is there again; tell the client by `networkChanged(true)`. */
  online(): void {
    this.#isOffline = false;
  }

  /** The next answers to this kind of request, or to any, get lost: the server has done what it was asked. */
  loseAnswers(count: number, operation: Operation | null = null): void {
    this.#loses = { count, operation };
  }

  /** Every answer takes so long, by the clock of the server. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** The next request of this kind, or of any, is refused with this problem, and reaches nobody. */
  fail(code: ProblemCode, operation: Operation | null = null): void {
    this.#faults.push({ operation, code });
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    this.calls.push(call);
    if (call.signal?.aborted) return broken('aborted', 'Given up before it was sent');
    if (this.#isOffline) return broken('offline', 'The network is away');
    const gone = new AbortController();
    const { promise, resolve } = Promise.withResolvers<Answer<T>>();
    const give = (kind: 'offline' | 'aborted', detail: string) => (): void => {
      gone.abort();
      resolve(broken(kind, detail));
    };
    const [cut, abort] = [give('offline', 'The network broke'), give('aborted', 'Given up')];
    const waitMs = (call.body as { readonly waitMs?: number } | undefined)?.waitMs ?? 0;
    const stopTimer = this.#clock.setTimer(call.timeoutMs + waitMs, give('offline', 'No answer in time'));
    this.#cuts.add(cut);
    call.signal?.addEventListener('abort', abort);
    try {
      return await Promise.race([promise, this.#exchange<T>(call, gone.signal)]);
    } finally {
      stopTimer();
      this.#cuts.delete(cut);
      call.signal?.removeEventListener('abort', abort);
    }
  }

  async #exchange<T>(call: Call, signal: AbortSignal): Promise<Answer<T>> {
    const { method, path, body } = call;
    const fault = this.#takeFault(path);
    const answered =
      fault ??
      (await this.#answered({ method, path, signal, ...(body === undefined ? {} : { body: copied(body) }) }));
    if (this.#delayMs > 0) {
      await new Promise<void>((resolve) => this.#clock.setTimer(this.#delayMs, resolve));
    }
    if (this.#loses.count > 0 && isFor(this.#loses.operation, path) && !fault) {
      this.#loses.count -= 1;
      return broken('offline', 'The answer got lost');
    }
    return judgeAnswer<T>({ ...answered, date: null, fault: null }, this.#clock.now());
  }

  #takeFault(path: string): Answered | null {
    const at = this.#faults.findIndex(({ operation }) => isFor(operation, path));
    const [fault] = at < 0 ? [] : this.#faults.splice(at, 1);
    if (!fault) return null;
    const options = PROBLEM_CODES[fault.code].retryable ? { retryAfter: 1 } : {};
    return refused(new RefusedRequest(fault.code, 'The test says so', options), this.#clock.now());
  }

  async #answered(call: DeviceCall): Promise<Answered> {
    try {
      const body = copied(await this.#ask(call));
      return { status: 200, contentType: 'application/json', retryAfter: null, body };
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      return refused(error, this.#clock.now());
    }
  }
}

const isFor = (operation: Operation | null, path: string): boolean =>
  operation === null || path === `/sync/v1/${operation}`;

interface Answered {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | null;
  readonly body: unknown;
}

function refused(error: RefusedRequest, nowMs: number): Answered {
  const { retryAfter } = error.options;
  return {
    ...{ status: error.status, contentType: 'application/problem+json', body: error.toBody(nowMs) },
    retryAfter: retryAfter === undefined ? null : String(retryAfter),
  };
}

/** What goes over a network is JSON, and nobody’s object but one’s own. */
const copied = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function broken(kind: 'offline' | 'aborted', detail: string): Failure {
  return { ok: false, kind, status: null, problem: null, retryAfterMs: null, detail };
}
