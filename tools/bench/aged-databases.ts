/** Fills the databases with what years of use leave there, by copying rows that the platform wrote itself. */
import type { Observer } from './observer.ts';

/** How old: `npm run bench -- --aged`; with `--quick` a tenth of it. */
export interface Age {
  readonly mutations: number;
  readonly entities: number;
  readonly devices: number;
}

export const AGED: Age = { mutations: 10_000_000, entities: 1_000_000, devices: 100_000 };

/** Rows of one statement: some seconds of work, so that it can be followed. */
const PAGE = 250_000;

/** A table, how many rows it gets, and what is not the same in all of them: SQL over the row's number `n`. */
interface Copied {
  readonly database: string;
  readonly table: string;
  readonly rows: number;
  readonly differs: Readonly<Record<string, string>>;
}

function copiesOf({ mutations, entities, devices }: Age): Copied[] {
  const one = (name: string): string => `'aged-${name}-' || n % ${devices}`;
  const ofDevice = { device_id: one('device') };
  const device = { ...ofDevice, user_id: one('user') };
  const scope = `'user:' || ${one('user')}`;
  const entity = { entity_id: 'gen_random_uuid()::text' };
  const place = { sequence: `n / ${devices} + 1` };
  return [
    {
      ...{ database: 'sync_gateway', table: 'mutation', rows: mutations },
      differs: { ...device, ...entity, ...place, scope, mutation_id: 'gen_random_uuid()', acked_at: 'now()' },
    },
    {
      ...{ database: 'sync_gateway', table: 'scope_delta', rows: entities },
      differs: { ...entity, ...place, scope },
    },
    { database: 'sync_gateway', table: 'scope_head', rows: devices, differs: { scope } },
    { database: 'sync_gateway', table: 'device_scope', rows: devices, differs: { ...device, scope } },
    { database: 'sync_gateway', table: 'device_sequence', rows: devices, differs: ofDevice },
    { database: 'delta_projector', table: 'entity_head', rows: entities, differs: entity },
    { database: 'delta_projector', table: 'scope_head', rows: devices, differs: { scope } },
    { database: 'learning', table: 'sync_entity', rows: entities, differs: entity },
    { database: 'learning', table: 'statement', rows: entities, differs: entity },
  ];
}

/**
 * Makes the databases old. Each table has to have a row of the platform's own, which is what all new ones
 * look like: so a column that a later version adds is filled as well.
 *
 * @param note is told what was done
 * @throws when a table has no row to copy, or a column is not there any more
 */
export async function ageDatabases(
  observer: Observer,
  age: Age,
  note: (text: string) => void,
): Promise<void> {
  for (const copied of copiesOf(age)) {
    const startedMs = performance.now();
    await copyRows(observer, copied);
    await observer.query(copied.database, `VACUUM (ANALYZE) ${copied.table}`);
    const tookS = ((performance.now() - startedMs) / 1_000).toFixed(0);
    note(`${copied.database}.${copied.table}: ${copied.rows.toLocaleString('en')} rows more in ${tookS} s`);
  }
  await observer.queryServer('CHECKPOINT');
}

async function copyRows(observer: Observer, { database, table, rows, differs }: Copied): Promise<void> {
  const columns = await observer.query<{ name: string }>(
    database,
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' ORDER BY attnum`,
    [table],
  );
  const [{ some } = { some: false }] = await observer.query<{ some: boolean }>(
    database,
    `SELECT EXISTS (SELECT FROM ${table}) AS some`,
  );
  if (!some) throw new Error(`${table} has no row to copy`);
  const names = columns.map(({ name }) => name);
  const unknown = Object.keys(differs).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`${table} has no column ${unknown.join(', ')}`);
  const values = names.map((name) => differs[name] ?? `t."${name}"`);
  for (let from = 1; from <= rows; from += PAGE) {
    const to = Math.min(rows, from + PAGE - 1);
    await observer.query(
      database,
      `INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')})
       SELECT ${values.join(', ')}
       FROM (SELECT * FROM ${table} LIMIT 1) t CROSS JOIN generate_series($1::bigint, $2::bigint) AS n`,
      [from, to],
    );
  }
}
