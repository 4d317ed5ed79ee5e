import {
  Query,
  type BindConfig,
  type Client,
  type Connection,
  type ExecuteConfig,
  type MessageConfig,
  type QueryConfig,
  type QueryParse,
  type QueryResult,
  type Submittable,
} from 'pg';

/** One statement of a batch, and what is told of it. */
export interface Statement {
  readonly config: QueryConfig;
  readonly resolve: (result: QueryResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends statements together and waits once for all their answers. They are carried out in their order; after
 * one that fails Postgres skips the others, and these fail with the same error. So a batch that begins with
 * BEGIN does nothing outside of a transaction, and one that ends with COMMIT commits nothing unless all of it
 * worked.
 *
 * The pipeline mode of `pg` cannot promise that: it ends each statement with a Sync, behind which Postgres
 * goes on although what came before has failed. Had a BEGIN been cancelled, the statements behind it would each
 * have been committed alone.
 *
 * @returns when all of them are settled
 */
export function sendTogether(client: Client, statements: readonly Statement[]): Promise<void> {
  return new Promise((settled) => client.query(new StatementBatch(statements, settled)));
}

/** What `pg` calls on a query of its own while the answer comes in; its type declarations leave it out. */
interface AnsweredQuery extends Query {
  readonly name?: string;
  readonly text: string;
  submit: (connection: Connection) => Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
  handleError(error: Error, connection: Connection): void;
}

/** Texts of prepared statements by their names. */
type PreparedTexts = Record<string, string>;

/** What the type declarations of `pg` leave out of its connection: what Postgres has prepared on it. */
type PreparingConnection = Connection & { readonly parsedStatements: PreparedTexts };

type CopyingConnection = Connection & { sendCopyFail(message: string): void };

/** To the driver it is one query: the messages of several, and one Sync behind the last. */
class StatementBatch implements Submittable {
  /** The driver puts its own in place of it, which ends the time-out. */
  callback: () => void;
  readonly #queries: readonly AnsweredQuery[];
  #fault: Error | null = null;
  #answered = 0;

  constructor(statements: readonly Statement[], settled: () => void) {
    this.callback = settled;
    this.#queries = statements.map(({ config, resolve, reject }) => {
      const settle = (error: Error | undefined, result: QueryResult): void => {
        this.#fault ??= error ?? null;
        if (error) reject(error);
        else resolve(result);
      };
      return new Query(config, settle) as AnsweredQuery;
    });
  }

  /** Of the statement that is answered now: the driver notes it as prepared. */
  get name(): string | undefined {
    return this.#queries[this.#answered]?.name;
  }

  get text(): string | undefined {
    return this.#queries[this.#answered]?.text;
  }

  /**
   * Nothing is sent before the values of all statements are known to be sendable.
   * @returns why nothing was sent
   */
  submit(connection: Connection): Error | null {
    const written = new WrittenMessages(connection);
    for (const query of this.#queries) {
      const refused = query.submit(written as unknown as Connection) ?? this.#fault;
      if (refused) return refused;
    }
    connection.stream.cork();
    try {
      written.send();
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.#queries[this.#answered]?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#queries[this.#answered]?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    this.#queries[this.#answered]?.handleCommandComplete(message, connection);
    this.#answered += 1;
  }

  handleEmptyQuery(): void {
    this.#answered += 1;
  }

  handleReadyForQuery(connection: Connection): void {
    for (const query of this.#queries) query.handleReadyForQuery(connection);
    this.callback();
  }

  /** Also when the connection is lost or silent: what was answered before that stands. */
  handleError(error: Error, connection: Connection): void {
    for (const query of this.#queries.slice(0, this.#answered)) query.handleReadyForQuery(connection);
    for (const query of this.#queries.slice(this.#answered)) query.handleError(error, connection);
    this.callback();
  }

  /** Nobody copies through this; Postgres has ignored the Sync that it took for a part of the data. */
  handleCopyInResponse(connection: CopyingConnection): void {
    connection.sendCopyFail('Nothing to copy from');
    connection.sync();
  }

  handleCopyData(): void {
    // Nobody reads it.
  }
}

/**
 * Stands in for the connection while the driver writes a statement: its messages are only noted, without the
 * Sync at the end of each.
 */
class WrittenMessages {
  readonly #connection: Connection;
  readonly #messages: (() => void)[] = [];
  /** The driver corks it around each statement; the batch does so once. */
  readonly stream = {};
  readonly parsedStatements: PreparedTexts;
  readonly submittedNamedStatements: PreparedTexts = {};

  constructor(connection: Connection) {
    this.#connection = connection;
    this.parsedStatements = (connection as PreparingConnection).parsedStatements;
  }

  send(): void {
    for (const message of this.#messages) message();
  }

  parse(message: QueryParse): void {
    this.#messages.push(() => this.#connection.parse(message, true));
  }

  /** @throws what the values throw on their way to text */
  bind({ values, valueMapper, ...config }: BindConfig): void {
    const texts = values?.map((value, index) => valueMapper?.(value, index) as Buffer | string | null);
    this.#messages.push(() => this.#connection.bind({ ...config, values: texts }, true));
  }

  describe(message: MessageConfig): void {
    this.#messages.push(() => this.#connection.describe(message, true));
  }

  execute(message: ExecuteConfig): void {
    this.#messages.push(() => this.#connection.execute(message, true));
  }

  sync(): void {
    // One for all of them, see `StatementBatch`.
  }

  close(): void {
    // Of a statement whose values cannot be sent: nothing is.
  }
}
