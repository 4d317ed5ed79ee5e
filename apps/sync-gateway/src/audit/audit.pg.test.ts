import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readInOrder, sqlStateOf, type Tx } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { Metrics } from '@sync/service-kit';
import { Client } from 'pg';
import { silent } from '../push/testing/push-rig.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import type { AuditDraft } from './audit-entry.ts';
import { AuditLog } from './audit-log.ts';
import { appendEntries, chainAfter, type AuditFilter, listEntries, readChain } from './audit-store.ts';
import { ExportAudit } from './export-audit.ts';
import { Refusals } from './refusals.ts';
import { verifyPage } from './verify-audit.ts';
import { WatchChains } from './watch-chains.ts';

let test: TestDatabase;
const GROWN = 6_000;
const LARGE = 't-large';

beforeAll(async () => {
  test = await gatewayDatabase();
  await test.database.inTenant(LARGE, (tx) =>
    tx.query(
      `INSERT INTO audit_entry (tenant_id, position, at, actor, operation, outcome, entry, hash)
       SELECT $1, i, '2026-01-01'::timestamptz + i * interval '1 second', 'u' || i % 200, 'op' || i % 50,
         CASE WHEN i % 100 = 0 THEN 'refused' ELSE 'done' END, '{}', ''
       FROM generate_series(1, $2) i`,
      [LARGE, GROWN],
    ),
  );
});
afterAll(() => test.drop());

const tenant = (): string => `t-${randomUUID()}`;

function draft(userId = 'u1', more: Partial<AuditDraft> = {}): AuditDraft {
  return {
    at: new Date().toISOString(),
    actor: { kind: 'person', tenantId: 't1', userId, roles: ['sync-admin'] },
    ...{ operation: 'putSuggestions', target: 'suggestions', requestId: 'r1' },
    ...{ outcome: 'done', code: null, attempt: null, count: 1, detail: {} },
    ...more,
  };
}

const append = (tenantId: string, ...drafts: readonly AuditDraft[]): Promise<string[]> =>
  test.database.inTenant(tenantId, (tx) => appendEntries(tx, tenantId, drafts));

const verify = (tenantId: string, after = '0', limit = 500): ReturnType<typeof verifyPage> =>
  test.database.inTenant(tenantId, (tx) => verifyPage(tx, tenantId, after, limit));

const list = (tenantId: string, filter: AuditFilter = {}, limit = 100): ReturnType<typeof listEntries> =>
  test.database.inTenant(tenantId, (tx) => listEntries(tx, tenantId, filter, null, limit));

/** One statement as the app's role. @returns the SQLSTATE that it fails with */
const asApp = (tenantId: string, sql: string): Promise<unknown> =>
  test.database
    .inTenant(tenantId, (tx) => tx.query(sql))
    .then(
      () => 'done',
      (error: unknown) => sqlStateOf(error),
    );

const INSUFFICIENT_PRIVILEGE = '42501';
const GUARDED = 'SY010';
const CHANGES = (table: string): string[] => [
  `UPDATE ${table} SET hash = ''`,
  `DELETE FROM ${table}`,
  `TRUNCATE ${table}`,
];

describe('lines', () => {
  it('are only ever added: not changed or removed by the app, nor by the owner of the table', async () => {
    const tenantId = tenant();
    await append(tenantId, draft());
    for (const sql of [...CHANGES('audit_entry'), ...CHANGES('audit_entry_anchor')]) {
      expect([sql, await asApp(tenantId, sql)]).toEqual([sql, INSUFFICIENT_PRIVILEGE]);
      const owner = new Client({ connectionString: test.ownerUrl });
      await owner.connect();
      await owner.query(`SELECT set_config('app.tenant', $1, false)`, [tenantId]);
      await expect(owner.query(sql)).rejects.toMatchObject({ code: GUARDED });
      await owner.end();
    }
    for (const sql of [
      'ALTER TABLE audit_entry DISABLE TRIGGER ALL',
      `SET session_replication_role = 'replica'`,
      `INSERT INTO audit_entry_anchor VALUES ('t', 1, '')`,
    ])
      expect([sql, await asApp(tenantId, sql)]).toEqual([sql, INSUFFICIENT_PRIVILEGE]);
    expect((await verify(tenantId)).broken).toBeNull();
  });

  it('of one tenant are neither seen nor written by another', async () => {
    const [mine, yours] = [tenant(), tenant()];
    await append(mine, draft());
    expect((await list(yours)).rows).toEqual([]);
    const rows = await test.database.inTenant(yours, (tx) =>
      tx.query('SELECT FROM audit_entry WHERE tenant_id = $1', [mine]),
    );
    expect(rows).toEqual([]);
    const foreign = test.database.inTenant(yours, (tx) => appendEntries(tx, mine, [draft()]));
    await expect(foreign).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });
  });

  it('of many writers at once make one unbroken chain', async () => {
    const tenantId = tenant();
    const writers = Array.from({ length: 40 }, (_, index) => append(tenantId, draft(`u${index}`), draft()));
    const positions = (await Promise.all(writers)).flat().map(Number);
    expect(positions.sort((a, b) => a - b)).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
    expect(await verify(tenantId)).toMatchObject({ checked: 80, broken: null, end: { position: '80' } });
  });

  it('stay small whatever they tell of', async () => {
    const tenantId = tenant();
    await append(tenantId, draft('u1', { target: 'x'.repeat(9_000), detail: { text: 'y'.repeat(9_000) } }));
    const [row] = (await list(tenantId)).rows;
    expect(JSON.parse(row?.text ?? '')).toMatchObject({
      target: 'x'.repeat(256),
      detail: { omittedCharacters: 9_011 },
    });
  });
});

const E = 'audit_entry';
const REHASHED = `encode(sha256(convert_to(replace(entry, 'r1', 'r2'), 'UTF8')), 'hex')`;

describe('verification', () => {
  it.each([
    ['a text', `UPDATE ${E} SET entry = replace(entry, 'r1', 'r2') WHERE $t AND position = 3`, '3'],
    [
      'a text and its hash',
      `UPDATE ${E} SET entry = replace(entry, 'r1', 'r2'), hash = ${REHASHED} WHERE $t AND position = 3`,
      '4',
    ],
    ['a column', `UPDATE ${E} SET actor = 'u2' WHERE $t AND position = 3`, '3'],
    ['a time', `UPDATE ${E} SET at = at - interval '1 day' WHERE $t AND position = 3`, '3'],
    ['an outcome', `UPDATE ${E} SET outcome = 'refused' WHERE $t AND position = 3`, '3'],
    ['a line that is gone', `DELETE FROM ${E} WHERE $t AND position = 3`, '3'],
    ['the first line gone', `DELETE FROM ${E} WHERE $t AND position = 1`, '1'],
    ['the end gone', `DELETE FROM ${E} WHERE $t AND position >= 4`, '4'],
    ['all of it gone', `DELETE FROM ${E} WHERE $t`, '1'],
    [
      'a line more',
      `INSERT INTO ${E} SELECT tenant_id, 6, at, actor, operation, outcome, entry, hash
       FROM ${E} WHERE $t AND position = 5`,
      '6',
    ],
    ['the anchor', `UPDATE ${E}_anchor SET entries = 4 WHERE $t`, '5'],
    ['no anchor', `DELETE FROM ${E}_anchor WHERE $t`, '5'],
  ])('names the first broken line after a superuser changed %s', async (_what, sql, position) => {
    const tenantId = tenant();
    for (let count = 0; count < 5; count += 1) await append(tenantId, draft());
    expect(await verify(tenantId)).toMatchObject({ checked: 5, broken: null });
    await test.tamper(sql.replaceAll('$t', `tenant_id = '${tenantId}'`));
    expect(await verify(tenantId)).toMatchObject({ broken: { position }, hasMore: false });
  });

  it('names lines that changed places', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 5; count += 1) await append(tenantId, draft());
    const of = (position: number): string => `WHERE tenant_id = '${tenantId}' AND position = ${position}`;
    await test.tamper(
      `UPDATE ${E} SET position = 99 ${of(2)}`,
      `UPDATE ${E} SET position = 2 ${of(3)}`,
      `UPDATE ${E} SET position = 3 ${of(99)}`,
    );
    expect(await verify(tenantId)).toMatchObject({ checked: 1, broken: { position: '2' } });
  });

  it('goes on from page to page, and is not appeased by what is added behind a gap', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 5; count += 1) await append(tenantId, draft());
    expect(await verify(tenantId, '0', 2)).toMatchObject({
      checked: 2,
      hasMore: true,
      end: { position: '2' },
    });
    expect(await verify(tenantId, '4', 2)).toMatchObject({ checked: 1, hasMore: false, broken: null });
    await test.tamper(`DELETE FROM ${E} WHERE tenant_id = '${tenantId}' AND position = 5`);
    await append(tenantId, draft());
    expect((await verify(tenantId)).broken).toMatchObject({ fault: 'entry_missing', position: '6' });
  });

  it('of all chains goes round, and counts those that are broken', async () => {
    const metrics = new Metrics('test');
    const watch = new WatchChains({ database: test.database, metrics, logger: silent });
    const [whole, broken] = [tenant(), tenant()];
    for (const tenantId of [whole, broken]) await append(tenantId, draft());
    await test.tamper(`UPDATE ${E} SET entry = '{}' WHERE tenant_id = '${broken}'`);
    for (let chain = await chainAfter(test.database, ''); chain !== null;) {
      await watch.pass();
      chain = await chainAfter(test.database, chain);
    }
    const [, count = '0'] = /sync_audit_broken_chains\S* (\d+)/.exec(await metrics.registry.metrics()) ?? [];
    // The tampered ones of the other tests, LARGE, and this one; not the whole one.
    const chains = await test.database.transaction((tx) => tx.query('SELECT FROM audit_entry_anchor'));
    expect(Number(count)).toBeGreaterThan(1);
    expect(Number(count)).toBeLessThan(chains.length);
  });
});

it('goes on to the other chains where one grows faster than it is looked at', async () => {
  const found: unknown[] = [];
  const logger = { ...silent, error: ({ tenantId }: Record<string, unknown>) => found.push(tenantId) };
  const watch = new WatchChains({
    database: test.database,
    metrics: new Metrics('test'),
    logger,
  });
  // The first two of all chains.
  const [growing, broken] = ['-1', '-2'];
  const more = Array.from({ length: 600 }, () => draft());
  await append(growing, ...more);
  await append(broken, draft());
  await test.tamper(`UPDATE ${E} SET entry = '{}' WHERE tenant_id = '${broken}'`);
  for (let pass = 0; pass < 4; pass += 1) {
    await watch.pass();
    await append(growing, ...more);
  }
  expect(found).toContain(broken);
});

describe('an export', () => {
  it('ends with the hash that was counted, so that a last line that was changed shows', async () => {
    const tenantId = tenant();
    await append(tenantId, draft(), draft());
    const [last] = (await list(tenantId)).rows;
    await test.tamper(`UPDATE ${E} SET hash = 'x' WHERE tenant_id = '${tenantId}' AND position = 2`);
    const lines = await text(await new ExportAudit(test.database).start(tenantId, '0', () => undefined));
    const end = JSON.parse(lines.trimEnd().split('\n').at(-1) ?? '') as unknown;
    expect(end).toEqual({ end: { position: '2', hash: last?.hash, entries: '2' } });
  });
});

describe('refusals', () => {
  const rig = (): { refusals: Refusals; counted: { total: number } } => {
    const metrics = new Metrics('test');
    const log = new AuditLog({
      database: test.database,
      platformTenant: '_platform',
      metrics,
      logger: silent,
    });
    const counted = { total: 0 };
    return { refusals: new Refusals(log, { inc: () => (counted.total += 1) }, silent), counted };
  };
  const refused = (chain: string, userId: string): Parameters<Refusals['note']>[0] => ({
    chain,
    draft: draft(userId, { outcome: 'refused', code: 'forbidden' }),
  });

  it('of a flood are few lines that tell how many they were', async () => {
    const tenantId = tenant();
    const { refusals, counted } = rig();
    const notes = Array.from({ length: 2_000 }, (_, index) =>
      refusals.note(refused(tenantId, index < 1_000 ? 'one' : `many-${index}`)),
    );
    await Promise.all(notes);
    await refusals.flush();
    const lines = (await list(tenantId)).rows.map(({ text }) => JSON.parse(text) as AuditDraft);
    expect(lines).toHaveLength(20 + 2);
    expect(lines.reduce((sum, { count }) => sum + count, 0)).toBe(2_000);
    expect(lines.filter(({ count }) => count > 1)).toMatchObject([
      { actor: { kind: 'others', tenantId: 't1' }, operation: 'several', count: 981 },
      { actor: { userId: 'one' }, count: 999 },
    ]);
    expect(counted.total).toBe(2_000);
    expect((await verify(tenantId)).broken).toBeNull();
  });

  it('that cannot be written now are written later', async () => {
    const tenantId = tenant();
    const { refusals } = rig();
    await test.tamper(`ALTER TABLE ${E} ADD CONSTRAINT nobody CHECK (tenant_id <> '${tenantId}')`);
    await refusals.note(refused(tenantId, 'u1'));
    await refusals.note(refused(tenantId, 'u1'));
    await refusals.flush();
    await test.tamper(`ALTER TABLE ${E} DROP CONSTRAINT nobody`);
    expect((await list(tenantId)).rows).toEqual([]);
    await refusals.flush();
    const [row] = (await list(tenantId)).rows;
    expect(JSON.parse(row?.text ?? '')).toMatchObject({ outcome: 'refused', count: 2 });
  });
});

/** Rows of the log that `work` reads: the same on every machine. */
function rowsRead(work: (tx: Tx) => Promise<unknown>, inOrder = true): Promise<number> {
  return test.database.inTenant(LARGE, async (tx) => {
    if (inOrder) await readInOrder(tx);
    const before = await countedRows(tx);
    await work(tx);
    return (await countedRows(tx)) - before;
  });
}

async function countedRows(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ read: number }>(
    `SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int4 AS read
     FROM pg_stat_xact_user_tables WHERE relname LIKE 'audit_%'`,
  );
  return row?.read ?? -1;
}

describe('rows read', () => {
  const after = { at: '2026-01-01T00:30:00.000Z', position: '1800' };

  it.each<[string, AuditFilter, number]>([
    ['of the newest', {}, 12],
    ['of an actor', { actor: 'u7' }, 12],
    ['of an operation', { operation: 'op7' }, 12],
    ['of an actor and an outcome', { actor: 'u100', outcome: 'refused' }, 32],
    ['of a time', { from: '2026-01-01T00:10:00Z', to: '2026-01-01T00:20:00Z' }, 12],
  ])('for a page %s are those of the page', async (_what, filter, most) => {
    const read = await rowsRead(async (tx) => {
      const page = await listEntries(tx, LARGE, filter, null, 10);
      expect(page.rows).toHaveLength(10);
      expect(page.next).not.toBeNull();
    });
    expect(read).toBeLessThanOrEqual(most);
  });

  it('for a later page are not those before it', async () => {
    const read = await rowsRead(async (tx) => {
      const { rows } = await listEntries(tx, LARGE, {}, after, 10);
      expect(rows[0]?.position).toBe('1799');
    });
    expect(read).toBeLessThanOrEqual(12);
  });

  it('end early where next to nothing fits, and the next page goes on', async () => {
    const found: string[] = [];
    let pages = 0;
    for (let place: typeof after | null | undefined; place !== null; pages += 1) {
      const from = place ?? null;
      const read = await rowsRead(async (tx) => {
        const { rows, next } = await listEntries(tx, LARGE, { outcome: 'refused' }, from, 100);
        found.push(...rows.map(({ position }) => position));
        place = next;
      });
      expect(read).toBeLessThanOrEqual(2_000);
    }
    expect(found).toEqual(Array.from({ length: 60 }, (_, index) => String(GROWN - 100 * index)));
    expect(pages).toBe(4);
  });

  it('to verify a page, to append and to find the next chain are few', async () => {
    const works: readonly ((tx: Tx) => Promise<unknown>)[] = [
      (tx) => readChain(tx, LARGE, '3000', 5),
      (tx) => appendEntries(tx, LARGE, [draft()]),
    ];
    for (const work of works) expect(await rowsRead(work, false)).toBeLessThanOrEqual(8);
  });
});
