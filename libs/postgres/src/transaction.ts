import type { PoolClient, QueryConfig, QueryResult } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner.js';
import { sendTogether, type Statement } from './statement-batch.ts';

/** One open transaction. It ends with the function it was given to; using it later throws. */
export interface Tx {
  /** `int8` and `numeric` arrive as strings, see `Database`. */
  query<T>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /**
   * Like `query`, as a prepared statement: for texts that every batch repeats.
   *
   * Statements that are asked for in one go, before any of them is awaited, share a round trip, and are carried
   * out in that order; see {@link inOrder}. When one of them fails those behind it fail with its error. BEGIN
   * goes along with the first of a transaction.
   */
  call<T>(name: string, text: string, values: readonly unknown[]): Promise<T[]>;
  /** TypeORM inside this transaction; its own `transaction()` becomes a savepoint. */
  readonly manager: EntityManager;
}

/** Thrown when a transaction function returned normally although one of its statements had failed. */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';
}

const MAX_STATEMENT_NAME_LENGTH = 63;
const COMMIT: QueryConfig = { name: 'sync_commit', text: 'COMMIT' };

/**
 * The results of what was asked of a transaction in one go, once all of it is settled.
 *
 * @throws the error of the first in order that failed. `Promise.all` would throw whichever came first: where a
 * function makes something else of the error of its statement, that of the statement behind it
 */
export async function inOrder<T extends readonly Promise<unknown>[] | []>(
  asked: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(asked);
  for (const one of asked) await one;
  return Promise.all(asked);
}

/** A prepared statement for the driver. */
export function namedQuery(name: string, text: string, values: readonly unknown[]): QueryConfig {
  if (name.length > MAX_STATEMENT_NAME_LENGTH) {
    throw new RangeError(`Statement name ${name} is longer than ${MAX_STATEMENT_NAME_LENGTH} characters`);
  }
  return { name, text, values: [...values] };
}

/** Several statements in one text (no values) give one result each: the last one answers. */
export function rowsOf<T>(result: QueryResult | QueryResult[]): T[] {
  const last = Array.isArray(result) ? result.at(-1) : result;
  return (last?.rows ?? []) as T[];
}

/** One that waits to be sent. A script (a text without values) may be several statements, and goes alone. */
interface Waiting extends Statement {
  readonly isScript: boolean;
}

/** A transaction on a connection that is nobody else's until {@link OpenTransaction.end}. */
export class OpenTransaction implements Tx {
  readonly #dataSource: DataSource;
  readonly #client: PoolClient;
  /** BEGIN and what belongs to it, until it is sent. */
  #begin: readonly QueryConfig[];
  #waiting: Waiting[] = [];
  #sending: Promise<void> | undefined;
  /** Of the first statement that failed. */
  #failure: { readonly error: unknown } | undefined;
  #traced: unknown;
  /** Why it cannot be used, or not any more. */
  #closed: { readonly error: unknown } | undefined;
  #runner: OpenTransactionRunner | undefined;

  constructor(dataSource: DataSource, client: PoolClient, begin: readonly QueryConfig[]) {
    this.#dataSource = dataSource;
    this.#client = client;
    this.#begin = begin;
  }

  async query<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return rowsOf(await this.#ask({ text, values: [...values] }, values.length === 0));
  }

  async call<T>(name: string, text: string, values: readonly unknown[]): Promise<T[]> {
    return rowsOf(await this.#ask(namedQuery(name, text, values)));
  }

  get manager(): EntityManager {
    this.#assertOpen();
    this.#runner ??= new OpenTransactionRunner(this.#dataSource, this.#client, () => this.#allSent());
    return this.#runner.manager;
  }

  /** The error of the first statement that failed, also where somebody went on without it. */
  get failure(): unknown {
    return this.#failure?.error;
  }

  /** False: Postgres knows nothing of it, and there is nothing to roll back. */
  get hasBegun(): boolean {
    return this.#begin.length === 0;
  }

  /** @throws TransactionAbortedError */
  async commit(): Promise<void> {
    if (!this.hasBegun && this.#waiting.length === 0) return;
    const { command } = await this.#ask(COMMIT);
    // Postgres answers COMMIT of a failed transaction with a polite ROLLBACK; taken for success it loses the
    // data.
    if (command === 'COMMIT') return;
    const message = 'A statement failed and its error was swallowed: rolled back';
    throw new TransactionAbortedError(message, { cause: this.failure });
  }

  /**
   * After this the connection belongs to somebody else: a forgotten `await` must fail and not write there.
   */
  end(): void {
    this.#close(new Error('The transaction has already ended'));
    void this.#runner?.release();
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#closed.error;
  }

  #close(error: unknown): void {
    this.#closed ??= { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #ask(config: QueryConfig, isScript = false): Promise<QueryResult> {
    this.#assertOpen();
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult>();
    this.#waiting.push({ config, isScript, resolve, reject: this.#failing(reject) });
    this.#sending ??= this.#send();
    return promise.catch((error: unknown) => {
      this.#trace(error);
      throw error;
    });
  }

  /** Lets an error name who asked for its statement, instead of the socket; those behind it share it. */
  #trace(error: unknown): void {
    if (error === this.#traced || !(error instanceof Error)) return;
    this.#traced = error;
    Error.captureStackTrace(error);
  }

  /** Notes an error before anybody is told of it. */
  #failing(reject: (error: unknown) => void): (error: unknown) => void {
    return (error) => {
      this.#failure ??= { error };
      reject(error);
    };
  }

  /** For TypeORM, which writes to the connection itself: begins, and lets go first what waits. */
  async #allSent(): Promise<void> {
    this.#sending ??= this.#send();
    await this.#sending;
    this.#assertOpen();
  }

  /** Sends what waits, and what comes meanwhile, until nothing is left. */
  async #send(): Promise<void> {
    // What is asked for in one go is there a moment later.
    await Promise.resolve();
    while (!this.#closed && (this.#waiting.length > 0 || !this.hasBegun)) {
      const [first] = this.#waiting;
      if (first?.isScript && this.hasBegun) await this.#sendScript();
      else await sendTogether(this.#client, this.#takeTogether());
    }
    this.#sending = undefined;
  }

  async #sendScript(): Promise<void> {
    const script = this.#waiting.shift();
    if (script) await this.#client.query(script.config).then(script.resolve, script.reject);
  }

  #takeTogether(): Statement[] {
    const script = this.#waiting.findIndex(({ isScript }) => isScript);
    const begin = this.#begin.map((config) => ({
      config,
      resolve: () => undefined,
      // Nothing may be written behind a BEGIN that failed: it would be committed at once.
      reject: this.#failing((error) => this.#close(error)),
    }));
    this.#begin = [];
    return [...begin, ...this.#waiting.splice(0, script < 0 ? this.#waiting.length : script)];
  }
}

/**
 * TypeORM's query runner on a connection whose transaction we open. TypeORM's own `startTransaction` costs a
 * round trip more (it cannot send BEGIN and the tenants together); depth 1 makes nested ones savepoints.
 */
class OpenTransactionRunner extends PostgresQueryRunner {
  readonly #client: PoolClient;
  readonly #ready: () => Promise<void>;

  constructor(dataSource: DataSource, client: PoolClient, ready: () => Promise<void>) {
    super(driverOf(dataSource), 'master');
    this.#client = client;
    this.#ready = ready;
    this.isTransactionActive = true;
    this.transactionDepth = 1;
    this.manager = dataSource.createEntityManager(this);
  }

  override async connect(): Promise<PoolClient> {
    await this.#ready();
    return this.#client;
  }
}

/** TypeORM serves several databases, and types its driver for all of them. */
export function driverOf({ driver }: DataSource): PostgresDriver {
  if (!(driver instanceof PostgresDriver)) throw new TypeError('Not a Postgres data source');
  return driver;
}
