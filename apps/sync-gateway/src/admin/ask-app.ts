import type { NatsConnection } from '@nats-io/transport-node';
import { RemoteError, request } from '@sync/messaging';
import { PROBLEM_CODES, type ProblemCode, type Validated } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';

const TIMEOUT_MS = 5_000;

/** Asks the app that owns the answer; the gateway joins nothing and keeps no copy. */
export class AskApp {
  readonly #nats: NatsConnection;

  constructor(nats: NatsConnection) {
    this.#nats = nats;
  }

  /**
   * @param app named to the administrator when it does not answer
   * @throws ProblemError `unavailable` when the app is away, or the problem code that it answered
   */
  async ask<T>(
    app: string,
    subject: string,
    body: unknown,
    check: (value: unknown) => Validated<T>,
    timeoutMs = TIMEOUT_MS,
  ): Promise<T> {
    try {
      return await request(this.#nats, subject, body, {
        timeoutMs,
        decode: (reply) => {
          const checked = check(reply);
          if (checked.ok) return checked.value;
          throw new TypeError(`${checked.faults[0]?.path ?? ''}: ${checked.faults[0]?.message ?? ''}`);
        },
      });
    } catch (error) {
      if (error instanceof RemoteError && isProblemCode(error.code)) {
        throw new ProblemError(error.code, error.message, { cause: error });
      }
      throw new ProblemError('unavailable', `${app} does not answer`, {
        headers: { 'retry-after': '5' },
        cause: error,
      });
    }
  }
}

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEM_CODES, code) && code !== 'internal';
}
