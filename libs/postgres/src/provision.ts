import { createHmac } from 'node:crypto';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';

/** Options of {@link provision}. */
export interface ProvisionOptions {
  /** A role that may create roles and databases. */
  readonly adminUrl: string;
  /** Name of the database; the roles are called `<name>_owner` and `<name>_app`. */
  readonly name: string;
  /**
   * Key from which the two passwords are derived; the password in `adminUrl` when not given. Deriving makes a
   * second call answer with the same URLs and needs no place to keep them.
   */
  readonly passwordSecret?: string;
}

/** The two ways into one database. */
export interface ProvisionedDatabase {
  /** Owns the database and everything in it: migrations only. */
  readonly ownerUrl: string;
  /** Reads and writes rows: what a running app gets. */
  readonly appUrl: string;
}

const DATABASE_NAME = /^[a-z][a-z0-9_]{0,50}$/;

/**
 * Creates the roles `<name>_owner` and `<name>_app` and the database, or repairs what is missing. Idempotent,
 * and safe when several processes do it at once.
 *
 * Other roles of the server cannot connect to the database, so one app's credentials never open another app's
 * data.
 *
 * @throws RangeError for a name outside `^[a-z][a-z0-9_]{0,50}$`
 * @throws Error when a role of that name exists and could bypass row level security
 */
export async function provision(options: ProvisionOptions): Promise<ProvisionedDatabase> {
  const { adminUrl, name } = options;
  if (!DATABASE_NAME.test(name))
    throw new RangeError(`Database name "${name}" does not match ${DATABASE_NAME}`);
  const secret = options.passwordSecret ?? decodeURIComponent(new URL(adminUrl).password);
  if (secret === '') {
    throw new Error('provision: adminUrl has no password to derive role passwords from, give passwordSecret');
  }
  const roles = { owner: `${name}_owner`, app: `${name}_app` };
  await asAdmin(adminUrl, `sync-provision ${name}`, async (admin) => {
    for (const role of Object.values(roles)) await ensureRole(admin, role, derivePassword(secret, role));
    await ensureDatabase(admin, name);
    await restrictDatabase(admin, name, roles);
  });
  const urlFor = (role: string): string =>
    withCredentials(adminUrl, name, role, derivePassword(secret, role));
  return { ownerUrl: urlFor(roles.owner), appUrl: urlFor(roles.app) };
}

/**
 * Lets the two roles into the database and everybody else out; also used for clones, which start with open
 * doors.
 */
export async function restrictDatabase(
  admin: Client,
  database: string,
  roles: { readonly owner: string; readonly app: string },
): Promise<void> {
  const [name, owner, app] = [database, roles.owner, roles.app].map(escapeIdentifier);
  // A cloud's admin is no superuser and may give a database only to a role it is a member of.
  await admin.query(`GRANT ${owner} TO CURRENT_USER`);
  await admin.query(`ALTER DATABASE ${name} OWNER TO ${owner}`);
  await admin.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  await admin.query(`GRANT CONNECT ON DATABASE ${name} TO ${app}`);
}

/**
 * Runs `work` on an admin connection under an advisory lock of that name: `CREATE ROLE IF NOT EXISTS` does
 * not exist, and `CREATE DATABASE` cannot run in a transaction, so concurrent callers must queue.
 */
export async function asAdmin<T>(
  adminUrl: string,
  lock: string,
  work: (admin: Client) => Promise<T>,
): Promise<T> {
  const admin = new Client({ connectionString: adminUrl, application_name: lock });
  admin.on('error', () => undefined); // a lost connection rejects the running query, that is enough
  await admin.connect();
  try {
    await admin.query('SELECT pg_advisory_lock(hashtext($1))', [lock]);
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** The same server with another database, role and password. */
export function withCredentials(serverUrl: string, database: string, role: string, password: string): string {
  const url = new URL(serverUrl);
  url.username = role;
  url.password = password;
  url.pathname = `/${database}`;
  return url.href;
}

/** 32 hexadecimal characters, the same for the same secret and role. */
export function derivePassword(secret: string, role: string): string {
  return createHmac('sha256', secret).update(role).digest('hex').slice(0, 32);
}

async function ensureRole(admin: Client, role: string, password: string): Promise<void> {
  const found = await admin.query<{ dangerous: boolean }>(
    'SELECT rolsuper OR rolbypassrls AS dangerous FROM pg_roles WHERE rolname = $1',
    [role],
  );
  const existing = found.rows[0];
  // Not repaired with ALTER ROLE: whoever gave a role these rights uses it for something else.
  if (existing?.dangerous)
    throw new Error(`Role ${role} exists and could bypass row level security: choose another`);
  const verb = existing === undefined ? 'CREATE' : 'ALTER';
  await admin.query(`${verb} ROLE ${escapeIdentifier(role)} LOGIN PASSWORD ${escapeLiteral(password)}`);
}

async function ensureDatabase(admin: Client, name: string): Promise<void> {
  const found = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  if (found.rowCount === 0) await admin.query(`CREATE DATABASE ${escapeIdentifier(name)}`);
}
