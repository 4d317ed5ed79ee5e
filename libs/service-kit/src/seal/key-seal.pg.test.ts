import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { tenantPolicySql } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { pino } from 'pino';
import { rotateDataKey } from './connect-seal.ts';
import { DATA_KEY_TABLE } from './data-keys.ts';
import { KeySeal, type Sealing } from './key-seal.ts';
import { type KeyService, masterKeysOf } from './key-service.ts';
import { SealError } from './sealed-text.ts';
import { type SealedRows, sealRows } from './sealed-rows.ts';

class SomeSecrets1764000000000 {
  readonly name = 'SomeSecrets1764000000000';
  async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
    await runner.query(`${DATA_KEY_TABLE}
      CREATE TABLE tenant (tenant_id text PRIMARY KEY);
      CREATE TABLE secret (tenant_id text, id text, value text NOT NULL, PRIMARY KEY (tenant_id, id));
      ${tenantPolicySql('secret')}`);
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

const ROWS: SealedRows = {
  name: 'secret',
  nextTenant: 'SELECT tenant_id FROM tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1',
  page: `
    SELECT ARRAY[id] AS position, ARRAY[tenant_id, id] AS owner, value AS stored FROM secret
    WHERE tenant_id = $1 AND ($2::text[] IS NULL OR id > ($2::text[])[1]) AND NOT starts_with(value, $3)
    ORDER BY id LIMIT $4`,
  write: `
    UPDATE secret s SET value = n.sealed
    FROM json_to_recordset($2::json) AS n (position text[], stored text, sealed text)
    WHERE s.tenant_id = $1 AND s.id = n.position[1] AND s.value = n.stored`,
};
const LOGGER = pino({ level: 'silent' });

const line = (name: string): string => `${name}:${randomBytes(32).toString('base64')}`;
const [OLD, NEW, OTHER] = [line('k1'), line('k2'), line('k3')];

let test: TestDatabase;
beforeAll(async () => {
  const postgres = await startPostgres();
  test = await createTestDatabase({ postgres, name: 'seal', migrations: [SomeSecrets1764000000000] });
});
afterAll(() => test.drop());
beforeEach(async () => {
  await test.database.transaction((tx) => tx.query('DELETE FROM data_key; DELETE FROM tenant'));
  await test.database.inTenant(['t1', 't2'], (tx) => tx.query('DELETE FROM secret'));
});

const load = (keys: string, sealing: Sealing = 'on'): Promise<KeySeal> =>
  KeySeal.load({ database: test.database, masterKeys: masterKeysOf(keys), sealing });
const store = (tenant: string, id: string, value: string): Promise<void> =>
  test.database.inTenant(tenant, async (tx) => {
    await tx.query('INSERT INTO tenant VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
    await tx.query('INSERT INTO secret VALUES ($1, $2, $3)', [tenant, id, value]);
  });
const stored = async (): Promise<{ tenant_id: string; id: string; value: string }[]> =>
  test.database.inTenant(['t1', 't2'], (tx) => tx.query('SELECT * FROM secret ORDER BY tenant_id, id'));
const seal = (keys: KeySeal, owner: readonly string[], text: string): Promise<string> =>
  test.database.transaction((tx) => keys.seal(tx, owner, text));
/** Everything that is kept about data keys, to see that nothing changed. */
const dataKeys = (): Promise<{ id: number; master_key: string; wrapped: string }[]> =>
  test.database.call('test_data_keys', 'SELECT id, master_key, wrapped FROM data_key ORDER BY added', []);
const wrappedBy = async (): Promise<string[]> =>
  (await dataKeys()).map((row) => `${row.id} ${row.master_key}`);

/** Rows of a release that sealed nothing: more than one page of t1, and some of t2. */
async function fill(): Promise<void> {
  await store('t1', 'first', 'secret of t1');
  await store('t2', 'first', 'secret of t2');
  await test.database.inTenant('t1', (tx) =>
    tx.query(`INSERT INTO secret SELECT 't1', 'n' || n, 'number ' || n FROM generate_series(1, 1100) n`),
  );
}

describe('master keys', () => {
  it('wrap one data key for replicas that start together, and it lies nowhere in clear', async () => {
    const replicas = await Promise.all(Array.from({ length: 6 }, () => load(OLD)));
    expect(await wrappedBy()).toEqual(['1 k1']);
    const sealed = await Promise.all(replicas.map((keys) => seal(keys, ['a'], 'text')));
    for (const keys of replicas) for (const one of sealed) expect(await keys.open(['a'], one)).toBe('text');
  });

  it('are changed in two rounds of restarts, in which replicas of both lists start and open', async () => {
    const before = await load(OLD);
    const sealed = await seal(before, ['a'], 'text');
    const both = await load(`${NEW}\n${OLD}`);
    expect(await wrappedBy()).toEqual(['1 k1', '1 k2']);
    // One with the list before is started once more, and takes nothing away.
    expect(await (await load(OLD)).open(['a'], sealed)).toBe('text');
    expect(await wrappedBy()).toEqual(['1 k1', '1 k2']);
    const after = await load(NEW);
    expect(await wrappedBy()).toEqual(['1 k2']);
    expect(await (await load(`${NEW}\n${OLD}`)).open(['a'], sealed)).toBe('text');
    expect(await wrappedBy()).toEqual(['1 k2']);
    for (const keys of [before, both, after]) expect(await keys.open(['a'], sealed)).toBe('text');
    await expect(load(OLD)).rejects.toThrow('MASTER_KEYS has none of the keys that wrapped data key 1: k2');
  });

  it.each([
    ['another name', OTHER, 'MASTER_KEYS has none of the keys that wrapped data key 1: k1'],
    ['another key of the same name', line('k1'), 'MASTER_KEYS: k1 is not the key that wrapped data key 1'],
    ['a new one, and the one before mistyped', `${NEW}\n${line('k1')}`, 'k1 is not the key that wrapped'],
    ['none', '', 'Keys in this database are sealed: set MASTER_KEYS'],
  ])('refuse a start with %s, which changes nothing', async (_what, keys, message) => {
    await load(OLD);
    const before = await dataKeys();
    await expect(load(keys)).rejects.toThrow(message);
    await expect(load(keys)).rejects.toThrow(SealError);
    expect(await dataKeys()).toEqual(before);
  });

  it('may be somewhere else: a service that is away is no wrong key', async () => {
    const local = masterKeysOf(OLD);
    if (!local) throw new Error('no key');
    await load(OLD);
    const away: KeyService = {
      names: local.names,
      wrap: (...given) => local.wrap(...given),
      unwrap: () => Promise.reject(new Error('KMS: 503')),
    };
    const loading = KeySeal.load({ database: test.database, masterKeys: away, sealing: 'on' });
    await expect(loading).rejects.toThrow('KMS: 503');
    await expect(loading).rejects.not.toBeInstanceOf(SealError);
  });
});

describe('rows in clear', () => {
  it('are sealed, tenant by tenant and page by page, by replicas that do it at once', async () => {
    await fill();
    const before = await stored();
    const [one, two] = await Promise.all([load(OLD), load(OLD)]);
    const reports = await Promise.all([one, two].map((keys) => sealRows(test.database, keys, ROWS, LOGGER)));
    expect(reports.map(({ left }) => left)).toEqual([0, 0]);
    const after = await stored();
    expect(after).toHaveLength(1102);
    for (const [index, { tenant_id, id, value }] of after.entries()) {
      expect(value).toMatch(/^sealed:1:/);
      expect(await two.open([tenant_id, id], value)).toBe(before[index]?.value);
    }
    expect(await sealRows(test.database, one, ROWS, LOGGER)).toEqual({ sealed: 0, left: 0 });
    expect(await stored()).toEqual(after);
  });

  it('wait while sealing comes later, and so do new ones; what others sealed is opened', async () => {
    await fill();
    const before = await stored();
    const later = await load(OLD, 'later');
    expect(await wrappedBy()).toEqual([]);
    expect(await sealRows(test.database, later, ROWS, LOGGER)).toEqual({ sealed: 0, left: 0 });
    expect(await seal(later, ['t1', 'x'], 'text')).toBe('text');
    expect(await stored()).toEqual(before);
    const now = await load(OLD, 'on');
    const sealed = await seal(now, ['t1', 'x'], 'text');
    expect(await later.open(['t1', 'x'], sealed)).toBe('text');
    expect(await now.open(['t1', 'x'], 'text')).toBe('text');
  });

  it('are refused, and stay, where only sealed ones may be', async () => {
    await fill();
    const before = await stored();
    const keys = await load(OLD, 'only');
    await expect(keys.open(['t1', 'first'], 'secret of t1')).rejects.toThrow('KEY_SEALING is "only"');
    expect(await sealRows(test.database, keys, ROWS, LOGGER)).toEqual({ sealed: 0, left: 1102 });
    expect(await stored()).toEqual(before);
  });

  it('are sealed although one between them does not open', async () => {
    const keys = await load(OLD);
    await store('t1', 'a', 'text');
    await store('t1', 'b', await seal(keys, ['t1', 'another row'], 'text'));
    await store('t1', 'c', 'text');
    await rotateDataKey(keys, () => Promise.resolve(0), LOGGER);
    expect(await sealRows(test.database, keys, ROWS, LOGGER)).toEqual({ sealed: 2, left: 1 });
    expect((await stored()).map(({ value }) => value.slice(0, 9))).toEqual([
      'sealed:2:',
      'sealed:1:',
      'sealed:2:',
    ]);
  });
});

describe('a new data key', () => {
  const sealAll = (keys: KeySeal) => async (): Promise<number> =>
    (await sealRows(test.database, keys, ROWS, LOGGER)).left;

  /** Whether somebody waits for a row of `data_key`. */
  const isWaiting = async (): Promise<boolean> => {
    const waiting = await test.database.call(
      'test_waiting',
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      [],
    );
    return waiting.length > 0;
  };

  it('seals everything, also what replicas write meanwhile, and the one before is forgotten', async () => {
    await fill();
    const [replica, command] = [await load(`${NEW}\n${OLD}`), await load(`${NEW}\n${OLD}`)];
    await sealRows(test.database, replica, ROWS, LOGGER);
    // Has sealed with the key before, and commits last.
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<undefined>();
    const { promise: began, resolve: begins } = Promise.withResolvers<undefined>();
    const writing = test.database.inTenant('t1', async (tx) => {
      const sealed = await replica.seal(tx, ['t1', 'late'], 'written meanwhile');
      await tx.query(`INSERT INTO secret VALUES ('t1', 'late', $1)`, [sealed]);
      begins(undefined);
      await mayEnd;
    });
    await began;
    const rotation = { isOver: false };
    const rotating = rotateDataKey(command, sealAll(command), LOGGER).finally(() => (rotation.isOver = true));
    while (!rotation.isOver && !(await isWaiting())) await sleep(5);
    end(undefined);
    await writing;
    expect(await rotating).toBe(true);
    expect(await wrappedBy()).toEqual(['2 k1', '2 k2']);
    const rows = await stored();
    expect(rows).toHaveLength(1103);
    for (const { value } of rows) expect(value).toMatch(/^sealed:2:/);
    const late = rows.find(({ id }) => id === 'late')?.value ?? '';
    expect(await replica.open(['t1', 'late'], late)).toBe('written meanwhile');
    expect(await seal(replica, ['a'], 'text')).toMatch(/^sealed:2:/);
  });

  it('leaves the one before where something does not open', async () => {
    const keys = await load(OLD);
    await store('t1', 'moved', await seal(keys, ['t2', 'moved'], 'text'));
    expect(await rotateDataKey(keys, sealAll(keys), LOGGER)).toBe(false);
    expect(await wrappedBy()).toEqual(['1 k1', '2 k1']);
  });

  it('is refused where nothing is sealed', async () => {
    const keys = await load(OLD, 'later');
    await expect(rotateDataKey(keys, sealAll(keys), LOGGER)).rejects.toThrow('Nothing is sealed');
    expect(await wrappedBy()).toEqual([]);
  });
});
