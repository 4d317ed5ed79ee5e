import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '@sync/domain';

/** `deadlock_detected` and `serialization_failure`: the transaction did nothing and may be run again. */
const RETRYABLE_STATES: ReadonlySet<string> = new Set(['40P01', '40001']);

/** Socket errors of Node that mean "no connection to Postgres", before or during a query. */
const SOCKET_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** What `pg` and `pg-pool` throw without any code; matched by text because there is nothing else to match. */
const CONNECTION_MESSAGES =
  /connection terminated|is not queryable|timeout exceeded when trying to connect|timeout expired|query read timeout|cannot use a pool after calling end/i;

/**
 * 08 connection exception, 57P admin shutdown, crash, starting up; 53 out of disk, memory or connections; 58
 * its disk fails. 25006: a server that only reads, as after a failover; 25P: it ended a connection that was
 * silent for too long.
 */
const UNAVAILABLE_STATES = /^(08|57P|53|58|25006|25P0[345])/;

/**
 * Postgres did not answer within the limit of whoever asked, see `Database.withLimits`. What it was asked to
 * do may be done all the same: only what is idempotent may be repeated.
 */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/**
 * The database is there, and the functions of this build are not: somebody else migrates it, and has not done
 * so yet. Postgres ignores a schema that is missing, so without this error the process would find no
 * functions, or older ones.
 */
export class NoFunctionsError extends Error {
  override readonly name = 'NoFunctionsError';
  override readonly message =
    'the functions of this build are not in the database yet: start one process with DATABASE_OWNER_URL';
}

/** What may be read from a thrown value; TypeORM wraps the driver's error in `driverError`. */
interface ErrorLike {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly driverError?: unknown;
}

function unwrap(error: unknown): ErrorLike | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { driverError }: ErrorLike = error;
  return typeof driverError === 'object' && driverError !== null ? driverError : error;
}

/**
 * The SQLSTATE of an error thrown by Postgres, directly or through TypeORM.
 *
 * @returns five characters such as `23505`, or `undefined` when Postgres did not answer at all
 */
export function sqlStateOf(error: unknown): string | undefined {
  const code = unwrap(error)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !SOCKET_CODES.has(code) ? code : undefined;
}

/**
 * True when Postgres is away, does not answer, refuses connections or has just lost this one, or lacks what a
 * migration is to bring: answer 503 or try later, the request itself is not wrong. This is the only list of such
 * errors: whoever has to know asks here. After an error in COMMIT, or a {@link NoAnswerError}, the outcome is
 * unknown; only an idempotent transaction may be repeated.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof NoAnswerError || error instanceof NoFunctionsError) return true;
  const state = sqlStateOf(error);
  if (state !== undefined) return UNAVAILABLE_STATES.test(state);
  // Node tries every address of a name and throws all that came of it.
  if (error instanceof AggregateError && error.errors.some(isUnavailable)) return true;
  const { code, message } = unwrap(error) ?? {};
  if (typeof code === 'string' && SOCKET_CODES.has(code)) return true;
  return typeof message === 'string' && CONNECTION_MESSAGES.test(message);
}

/**
 * Conflicts that repetition did not end, and statements that took too long: true of the moment and of no
 * particular row.
 */
const PASSING_STATES: ReadonlySet<string> = new Set([...RETRYABLE_STATES, '55P03', '57014']);

/**
 * True when the transaction did nothing because the database was busy with others: later it may well succeed.
 */
export function isPassing(error: unknown): boolean {
  return PASSING_STATES.has(sqlStateOf(error) ?? '');
}

/**
 * True when a statement took longer than it may (57014). It is passing where the database has too much to do;
 * of one entity alone it may be that entity's own cost.
 */
export function isTooSlow(error: unknown): boolean {
  return sqlStateOf(error) === '57014';
}

/** Bounds of {@link retryConflicts}. */
export interface RetryOptions {
  /** Attempts in total, the first included. */
  readonly attempts?: number;
  /** Upper end of the first pause; it doubles with every attempt. */
  readonly baseDelayMs?: number;
  /** Source of jitter in [0, 1), so that tests can fix it. */
  readonly random?: () => number;
}

/**
 * Runs a transaction again when Postgres chose it as the victim of a deadlock (40P01) or could not serialize
 * it (40001). Two victims that wait equally long would meet again.
 *
 * @param work starts its own transaction and has no effect outside it
 * @throws whatever `work` threw last; other errors at once
 */
export async function retryConflicts<T>(work: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = 5, baseDelayMs = 10, random = Math.random } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const state = sqlStateOf(error);
      if (attempt >= attempts || state === undefined || !RETRYABLE_STATES.has(state)) throw error;
      await sleep(backoffMs(attempt, { baseMs: baseDelayMs, capMs: Infinity }, random()));
    }
  }
}
