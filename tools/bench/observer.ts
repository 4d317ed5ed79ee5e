/** Looks into the databases of the platform while it is measured, without being measured itself. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';

/** A role of its own, so that its backends can be told from those of the platform. */
export const OBSERVER = 'bench_observer';

/** One connection to each database, open all the time: what ends is counted as work of Postgres itself. */
export class Observer {
  readonly #server: Client;
  readonly #databases: ReadonlyMap<string, Client>;

  private constructor(server: Client, databases: ReadonlyMap<string, Client>) {
    this.#server = server;
    this.#databases = databases;
  }

  static async open(adminUrl: string, databases: readonly string[]): Promise<Observer> {
    const password = randomUUID();
    const admin = await connect(adminUrl);
    await admin.query(`DROP ROLE IF EXISTS ${OBSERVER}`);
    await admin.query(`CREATE ROLE ${OBSERVER} LOGIN SUPERUSER PASSWORD '${password}'`);
    await admin.end();
    const url = new URL(adminUrl);
    url.username = OBSERVER;
    url.password = password;
    const server = await connect(url.href);
    const clients = new Map<string, Client>();
    for (const name of databases) {
      url.pathname = `/${name}`;
      clients.set(name, await connect(url.href));
    }
    return new Observer(server, clients);
  }

  get databases(): string[] {
    return [...this.#databases.keys()];
  }

  /** Row level security hides nothing from it. */
  async query<Row>(database: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = this.#databases.get(database);
    if (!client) throw new RangeError(`no database ${database} is observed`);
    return (await client.query(text, [...values])).rows as Row[];
  }

  /** A question to the server as a whole. */
  async queryServer<Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#server.query(text, [...values])).rows as Row[];
  }

  /** Where the server's WAL ends, in bytes since it exists. */
  async walBytes(): Promise<number> {
    const [row] = await this.queryServer<{ bytes: string }>(
      `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes`,
    );
    return Number(row?.bytes);
  }

  /** Bytes of all databases of the platform, indexes included. */
  async storageBytes(): Promise<number> {
    const [row] = await this.queryServer<{ bytes: string }>(
      'SELECT sum(pg_database_size(name)) AS bytes FROM unnest($1::text[]) AS name',
      [this.databases],
    );
    return Number(row?.bytes);
  }

  async close(): Promise<void> {
    await Promise.all([this.#server, ...this.#databases.values()].map((client) => client.end()));
  }
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}
