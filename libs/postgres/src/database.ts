import { Client, type Pool, type PoolClient, type QueryConfig } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { countingClient } from './counting-client.ts';
import { isUnavailable, NoAnswerError, NoFunctionsError, sqlStateOf } from './sql-errors.ts';
import { BEGIN, beginForTenants, type StatementLimits } from './tenants.ts';
import { driverOf, namedQuery, OpenTransaction, rowsOf, type Tx } from './transaction.ts';

/** The part of a pino logger that is used: lost idle connections are reported, nothing else. */
export interface DatabaseLogger {
  warn(fields: object, message: string): void;
}

/** Options of {@link Database.connect}. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database` */
  readonly url: string;
  /** Shown in `pg_stat_activity`, so that a stuck query names its process. */
  readonly applicationName: string;
  /** Where the functions of this build are, see `functionSchemaOf`; null when it has none. */
  readonly functionSchema?: string | null;
  /** TypeORM entity classes, for admin lists through `dataSource` and `tx.manager`. */
  readonly entities?: DataSourceOptions['entities'];
  /** Connections at most; further callers wait up to 10 s for one. */
  readonly poolSize?: number;
  /** Server-side limit of one statement. */
  readonly statementTimeoutMs?: number;
  readonly logger?: DatabaseLogger;
}

/** How long somebody who is waited for himself waits; see {@link Database.withLimits}. */
export interface AnswerLimits {
  /** For a connection. */
  readonly connectMs: number;
  /** For a statement, or for a whole transaction. */
  readonly answerMs: number;
  /** Told how long each one waited for a connection, whether it got one or not. */
  readonly onConnectWait?: (waitedMs: number) => void;
}

function sessionOptions(functionSchema: string | null): string {
  const check = `-c client_connection_check_interval=${CLIENT_CHECK_MS}`;
  return functionSchema === null ? check : `${check} -c search_path=${functionSchema},public`;
}

const CONNECTION_WAIT_MS = 10_000;
const ROLLBACK_TIMEOUT_MS = 5_000;
/** A transaction whose process hangs between two statements must not hold its locks for longer. */
const IDLE_IN_TRANSACTION_MS = 60_000;
/**
 * The client gives up a little after the server should have: only a frozen server or network gets that far.
 */
const CLIENT_TIMEOUT_MARGIN_MS = 5_000;
/**
 * How often a backend looks whether its client is still there: a statement that nobody waits for any more
 * ends soon after it was given up.
 */
const CLIENT_CHECK_MS = 1_000;

/**
 * A pool of connections to one database.
 *
 * Numbers: Postgres `int8`, `numeric` and `count(*)` arrive as **strings**, because 2^53+1 does not survive a
 * JavaScript number. Cast in SQL (`count(*)::int4`) where the range is known to be small, use
 * `BigInt(row.sequence)` elsewhere.
 *
 * Losing Postgres: every query in flight rejects ({@link isUnavailable} tells), broken connections leave the
 * pool, and the next call connects again. Nothing reconnects in the background.
 */
export class Database {
  /** For TypeORM repositories outside a transaction, on tables without tenants. */
  readonly dataSource: DataSource;
  readonly #pool: Pool;
  readonly #messages: { sent: number };
  readonly #limits: AnswerLimits | undefined;

  private constructor(dataSource: DataSource, messages: { sent: number }, limits?: AnswerLimits) {
    this.dataSource = dataSource;
    this.#limits = limits;
    // Typed `any` by TypeORM, whose driver class serves several pool implementations.
    this.#pool = driverOf(dataSource).master as Pool;
    this.#messages = messages;
  }

  /**
   * Opens the pool, and proves it with one connection and the functions of this build.
   *
   * @throws the driver's error when the server does not answer or refuses; {@link isUnavailable} tells which
   * @throws NoFunctionsError when `functionSchema` is not there: nobody has migrated the database to this build
   */
  static async connect(options: DatabaseOptions): Promise<Database> {
    const {
      url,
      applicationName,
      functionSchema = null,
      entities = [],
      poolSize = 10,
      statementTimeoutMs = 30_000,
      logger,
    } = options;
    const messages = { sent: 0 };
    const dataSource = new DataSource({
      type: 'postgres',
      url,
      applicationName,
      entities,
      poolSize,
      // Extensions are for migrations; the app role could not create one.
      installExtensions: false,
      logging: false,
      connectTimeoutMS: CONNECTION_WAIT_MS,
      poolErrorHandler: (error: unknown) =>
        logger?.warn({ err: error, applicationName }, 'lost an idle connection to Postgres'),
      extra: {
        Client: countingClient(() => (messages.sent += 1)),
        keepAlive: true,
        options: sessionOptions(functionSchema),
        statement_timeout: statementTimeoutMs,
        query_timeout: statementTimeoutMs + CLIENT_TIMEOUT_MARGIN_MS,
        idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      },
    });
    await dataSource.initialize();
    try {
      if (functionSchema !== null) await requireSchema(dataSource, functionSchema);
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
    messages.sent = 0;
    return new Database(dataSource, messages);
  }

  /**
   * The same pool for whoever answers somebody who waits: gives up sooner, and throws {@link NoAnswerError}.
   * A connection on which nothing was answered in time is closed and not used again, because its state is
   * unknown; whether its work was done is unknown as well.
   *
   * What nobody waits for keeps the limits of the pool: large batches may take their time.
   */
  withLimits(limits: AnswerLimits): Database {
    return new Database(this.dataSource, this.#messages, limits);
  }

  /**
   * How often somebody waited for Postgres since `connect`: each single statement, each group of statements
   * that went together, and each COMMIT is one network round trip.
   */
  get roundTrips(): number {
    return this.#messages.sent;
  }

  /** Waits for running queries and closes all connections. */
  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /**
   * One prepared statement in one round trip, in its own transaction: the way of the hot paths.
   *
   * @param name identifies the text: the same name with another text is an error, at most 63 characters
   * @throws the driver's error; {@link sqlStateOf} reads it
   */
  async call<T>(name: string, text: string, values: readonly unknown[]): Promise<T[]> {
    const client = await this.#connect();
    try {
      const query = namedQuery(name, text, values);
      const result = await cutAfter(client, this.#limits?.answerMs, () => client.query(query));
      client.release();
      return rowsOf(result);
    } catch (error) {
      // Not `pool.query`: it throws away the connection after any error, and a rejected row is no broken
      // connection.
      client.release(isHealthy(error) ? undefined : true);
      throw error;
    }
  }

  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#transact([BEGIN], work);
  }

  /**
   * Runs `work` in one transaction that sees and writes only the rows of these tenants.
   *
   * @param limits of its statements, for a transaction on whose locks others wait; else those of the pool
   * @throws InvalidTenantError
   */
  async inTenant<T>(
    tenantIds: string | readonly string[],
    work: (tx: Tx) => Promise<T>,
    limits?: StatementLimits,
  ): Promise<T> {
    return this.#transact(beginForTenants(tenantIds, limits), work);
  }

  async #transact<T>(begin: readonly QueryConfig[], work: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    const tx = new OpenTransaction(this.dataSource, client, begin);
    try {
      const result = await cutAfter(client, this.#limits?.answerMs, async () => {
        const worked = await work(tx);
        await tx.commit();
        return worked;
      });
      tx.end();
      client.release(isOutdated(tx.failure));
      return result;
    } catch (error) {
      tx.end();
      // On a connection that does not answer, a ROLLBACK would only be waited for; closing it rolls back.
      if (isUnavailable(error) || isOutdated(error) || isOutdated(tx.failure)) client.release(true);
      else if (tx.hasBegun) await rollBackAndRelease(client);
      else client.release();
      throw error;
    }
  }

  async #connect(): Promise<PoolClient> {
    const connecting = this.#pool.connect();
    if (this.#limits === undefined) return connecting;
    const { connectMs, onConnectWait } = this.#limits;
    const sinceMs = performance.now();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const giveUp = (): void => reject(new NoAnswerError(`No connection to Postgres within ${connectMs} ms`));
    const timer = setTimeout(giveUp, connectMs);
    try {
      return await Promise.race([connecting, late]);
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => undefined,
      );
      throw error;
    } finally {
      clearTimeout(timer);
      onConnectWait?.(performance.now() - sinceMs);
    }
  }
}

/**
 * Settles like `work`; when that takes too long the connection is closed, and whatever waits for an answer on
 * it fails at once.
 */
async function cutAfter<T>(
  client: PoolClient,
  limitMs: number | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (limitMs === undefined) return work();
  const cut = { late: false };
  const timer = setTimeout(() => {
    cut.late = true;
    if (client instanceof Client) void client.end();
  }, limitMs);
  try {
    return await work();
  } catch (cause) {
    throw cut.late ? new NoAnswerError(`Postgres did not answer within ${limitMs} ms`, { cause }) : cause;
  } finally {
    clearTimeout(timer);
  }
}

/** @throws NoFunctionsError */
async function requireSchema(dataSource: DataSource, schema: string): Promise<void> {
  const rows = await dataSource.query<unknown[]>('SELECT 1 WHERE to_regnamespace($1) IS NOT NULL', [schema]);
  if (rows.length === 0) throw new NoFunctionsError();
}

/** A connection with an unknown state is used by nobody again: what cannot roll back is closed. */
async function rollBackAndRelease(client: PoolClient): Promise<void> {
  try {
    const rollback: QueryConfig & { query_timeout: number } = {
      text: 'ROLLBACK',
      query_timeout: ROLLBACK_TIMEOUT_MS,
    };
    await client.query(rollback);
    client.release();
  } catch {
    // The first error is the one worth reporting; this one only says that the connection is gone as well.
    client.release(true);
  }
}

/**
 * An error that Postgres itself sent, outside class 57 and 08, leaves the connection ready for the next
 * query.
 */
function isHealthy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'severity' in error &&
    'code' in error &&
    !/^(57P|08|25P0)/.test(String(error.code)) &&
    !isOutdated(error)
  );
}

/**
 * A migration gave a column another type: what was prepared on a connection before that fails on it for ever
 * ("cached plan must not change result type"), and works on a new one.
 */
function isOutdated(error: unknown): boolean {
  return sqlStateOf(error) === '0A000';
}
