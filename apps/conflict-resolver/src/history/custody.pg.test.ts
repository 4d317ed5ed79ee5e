import { randomUUID } from 'node:crypto';
import { sqlStateOf } from '@sync/postgres';
import { Client } from 'pg';
import { lockRow } from '../records/conflict-store.ts';
import { settleResolution } from '../resolve/settle-resolution.ts';
import { noSuggestions } from '../suggestions/suggestion-source.ts';
import { ConflictRig, DRAFT } from '../testing/conflict-rig.ts';
import { answerHistory } from './answer-history.ts';
import { answerVerify } from './answer-verify.ts';
import { appendHistory } from './history-store.ts';

let rig: ConflictRig;

beforeAll(async () => {
  rig = await ConflictRig.start();
});
afterAll(async () => {
  await rig.stop();
});

const tenant = (): string => `t-${randomUUID().slice(0, 8)}`;

/**
 * One statement as the app's role, in the tenant. @returns the SQLSTATE it fails with, or the rows it touched
 */
async function asApp(tenantId: string, sql: string, values: readonly unknown[] = []): Promise<unknown> {
  return rig.test.database
    .inTenant(tenantId, (tx) => tx.query(sql, values))
    .then(
      (rows) => rows.length,
      (error: unknown) => sqlStateOf(error),
    );
}

/** Several statements as the owner's role, which may disable a trigger; what no app can do. */
async function asOwner(tenantId: string, ...statements: readonly string[]): Promise<void> {
  const owner = new Client({ connectionString: rig.test.ownerUrl });
  await owner.connect();
  try {
    await owner.query(`SELECT set_config('app.tenant', $1, false)`, [tenantId]);
    for (const sql of statements) await owner.query(sql);
  } finally {
    await owner.end();
  }
}

async function resolve(tenantId: string, conflictId: string): Promise<void> {
  await rig.test.database.inTenant(tenantId, async (tx) => {
    const row = await lockRow(tx, tenantId, conflictId);
    if (!row) throw new Error('no such record');
    const context = { owner: rig.owner, suggestions: noSuggestions, now: () => new Date(), waitMs: 0 };
    await settleResolution(tx, context, tenantId, row, {
      ...{ kind: 'keep_server', suggestionId: null, userId: 'u1', deviceId: 'a', clock: { 'd:b': 1 } },
      decision: { kind: 'keep_server', clock: { 'd:b': 1 } },
    });
  });
}

const INSUFFICIENT_PRIVILEGE = '42501';
const GUARDED = 'SY010';

describe('a ConflictRecord', () => {
  it('cannot be changed or deleted by the role of the app, open or resolved', async () => {
    const tenantId = tenant();
    const open = await rig.conflict(tenantId);
    const resolved = await rig.conflict(tenantId, { status: 'auto_resolved' });
    for (const id of [open, resolved]) {
      const set = (text: string): Promise<unknown> =>
        asApp(tenantId, `UPDATE conflict_record SET ${text} WHERE conflict_id = $1`, [id]);
      expect(await set(`draft = '{}'`)).toBe(INSUFFICIENT_PRIVILEGE);
      expect(await set(`user_id = 'u2'`)).toBe(INSUFFICIENT_PRIVILEGE);
      expect(await set(`detected_at = now()`)).toBe(INSUFFICIENT_PRIVILEGE);
      expect(await asApp(tenantId, 'DELETE FROM conflict_record WHERE conflict_id = $1', [id])).toBe(
        INSUFFICIENT_PRIVILEGE,
      );
      // The columns of a resolution may be written, but only all together, and once.
      expect(await set(`status = 'resolved'`)).toBe(GUARDED);
      expect(await set(`decision = '{"kind":"merged"}'`)).toBe(GUARDED);
    }
    await resolve(tenantId, open);
    await expect(resolve(tenantId, open)).rejects.toThrow('resolved once');
    expect(
      await asApp(tenantId, `UPDATE conflict_record SET status = 'open' WHERE conflict_id = $1`, [open]),
    ).toBe(GUARDED);
  });

  it('keeps its guards against the role of the app', async () => {
    const tenantId = tenant();
    for (const sql of [
      'ALTER TABLE conflict_record DISABLE TRIGGER conflict_record_guard',
      'DROP TRIGGER conflict_record_guard ON conflict_record',
      `SET session_replication_role = 'replica'`,
      'TRUNCATE conflict_record',
      'TRUNCATE conflict_history',
      'UPDATE conflict_history_anchor SET entries = entries + 1',
      'DELETE FROM conflict_history_head',
      `INSERT INTO conflict_history_anchor VALUES ('t', 1, '')`,
    ])
      expect([sql, await asApp(tenantId, sql)]).toEqual([sql, INSUFFICIENT_PRIVILEGE]);
  });

  it('is not even changed by the owner of the table while the guards are on', async () => {
    const tenantId = tenant();
    const conflictId = await rig.conflict(tenantId);
    const resolution = `status = 'resolved', decision = '{}', decider = '{}', resolved_at = now()`;
    for (const change of [`draft = '{}'`, `draft = '{}', ${resolution}`, `user_id = 'u2', ${resolution}`])
      await expect(
        asOwner(tenantId, `UPDATE conflict_record SET ${change} WHERE conflict_id = '${conflictId}'`),
      ).rejects.toThrow('never changes otherwise');
    await expect(asOwner(tenantId, 'TRUNCATE conflict_record')).rejects.toThrow('TRUNCATE');
    for (const table of ['conflict_history_anchor', 'conflict_history_head'])
      for (const sql of [
        `UPDATE ${table} SET entries = entries - 1`,
        `DELETE FROM ${table}`,
        `TRUNCATE ${table}`,
      ])
        await expect(asOwner(tenantId, sql)).rejects.toMatchObject({ code: GUARDED });
  });
});

describe('the history', () => {
  it('takes rows and gives none away', async () => {
    const tenantId = tenant();
    const conflictId = await rig.conflict(tenantId);
    expect(await asApp(tenantId, 'DELETE FROM conflict_history')).toBe(INSUFFICIENT_PRIVILEGE);
    expect(await asApp(tenantId, `UPDATE conflict_history SET entry = '{}'`)).toBe(INSUFFICIENT_PRIVILEGE);
    const { entries } = await answerHistory(rig.test.database, {
      tenantId,
      conflictId,
      cursor: null,
      limit: 10,
    });
    expect(entries).toMatchObject([
      { what: 'detected', who: { kind: 'person', userId: 'u1', deviceId: 'a' }, previous: '' },
    ]);
  });

  it('is paged, and of one record only', async () => {
    const tenantId = tenant();
    const conflictId = await rig.conflict(tenantId);
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    const who = { kind: 'person', userId: 'u1', deviceId: 'a' } as const;
    const note = { conflictId, at: new Date().toISOString(), what: 'noted', who, facts: {} };
    await rig.test.database.inTenant(tenantId, (tx) => appendHistory(tx, tenantId, [note, note]));
    const first = await answerHistory(rig.test.database, { tenantId, conflictId, cursor: null, limit: 2 });
    const second = await answerHistory(rig.test.database, {
      tenantId,
      conflictId,
      cursor: first.next,
      limit: 2,
    });
    expect([...first.entries, ...second.entries].map(({ what }) => what)).toEqual([
      'detected',
      'noted',
      'noted',
    ]);
    expect(second.next).toBeNull();
    const foreign = { tenantId: tenant(), conflictId, cursor: null, limit: 2 };
    await expect(answerHistory(rig.test.database, foreign)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps one order when many append at once', async () => {
    const tenantId = tenant();
    await Promise.all(Array.from({ length: 12 }, () => rig.conflict(tenantId, { status: 'auto_resolved' })));
    expect(await verify(tenantId)).toMatchObject({ checked: 24, broken: null, next: null });
  });
});

const verify = (
  tenantId: string,
  limit = 500,
  cursor: string | null = null,
): ReturnType<typeof answerVerify> => answerVerify(rig.test.database, { tenantId, cursor, limit });

/** All pages of a walk, until its end or its first fault. */
async function walk(tenantId: string, limit: number): Promise<Awaited<ReturnType<typeof verify>>[]> {
  const pages = [];
  for (let cursor: string | null = null; ;) {
    const page: Awaited<ReturnType<typeof verify>> = await verify(tenantId, limit, cursor);
    pages.push(page);
    if (page.next === null) return pages;
    cursor = page.next;
  }
}

const [H, R] = ['conflict_history', 'conflict_record'];
const REHASHED = `encode(sha256(convert_to(replace(entry, 'u1', 'u2'), 'UTF8')), 'hex')`;

describe('verify', () => {
  it('walks a whole history and its records in pages, and says up to which hash it is whole', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 5; count += 1) await rig.conflict(tenantId, { status: 'auto_resolved' });
    const pages = await walk(tenantId, 4);
    expect(pages.map(({ checked, records, broken }) => [checked, records, broken])).toEqual([
      [4, 0, null],
      [4, 0, null],
      [2, 4, null],
      [0, 1, null],
    ]);
    expect(pages[2]?.hash).toBe((await verify(tenantId)).hash);
    const none = { checked: 0, records: 0, broken: null, hash: null, next: null };
    expect(await verify(tenant())).toEqual(none);
  });

  it.each([
    ['entry_altered', `UPDATE ${H} SET entry = replace(entry, 'u1', 'u2') WHERE $t AND position = 3`, '3'],
    ['entry_missing', `DELETE FROM ${H} WHERE $t AND position = 3`, '3'],
    [
      'link_broken',
      `UPDATE ${H} SET entry = replace(entry, 'u1', 'u2'), hash = ${REHASHED} WHERE $t AND position = 3`,
      '4',
    ],
    [
      'record_altered',
      `UPDATE ${R} SET draft = jsonb_set(draft::jsonb, '{theirs}', '{"text":"x"}') WHERE $id`,
      '3',
    ],
    ['record_altered', `UPDATE ${R} SET fields = '{other}' WHERE $id`, '3'],
    ['record_altered', `UPDATE ${R} SET detected_at = detected_at - interval '1 day' WHERE $id`, '3'],
    ['record_altered', `UPDATE ${R} SET decision = '{"kind":"merged"}' WHERE $id`, '4'],
    ['record_altered', `UPDATE ${R} SET decider = jsonb_set(decider, '{userId}', '"u2"') WHERE $id`, '4'],
    ['record_altered', `UPDATE ${R} SET resolved_at = resolved_at + interval '1 hour' WHERE $id`, '4'],
    ['record_altered', `UPDATE ${R} SET resolution = 'merged' WHERE $id`, '4'],
    ['record_altered', `UPDATE ${R} SET status = 'auto_resolved' WHERE $id`, '4'],
    [
      'record_altered',
      `UPDATE ${R} SET status = 'open', decision = NULL, decider = NULL, resolved_at = NULL WHERE $id`,
      '4',
    ],
    ['record_missing', `DELETE FROM ${R} WHERE $id`, '3'],
    // The end of the history, where no later link misses it.
    ['entry_missing', `DELETE FROM ${H} WHERE $t AND position >= 5`, '5'],
    ['entry_missing', `DELETE FROM ${H} WHERE $t`, '1'],
    ['anchor_altered', `UPDATE ${H}_anchor SET entries = entries - 1 WHERE $t`, '6'],
    ['anchor_altered', `UPDATE ${H}_anchor SET hash = repeat('0', 64) WHERE $t`, '6'],
    ['anchor_altered', `DELETE FROM ${H}_anchor WHERE $t`, '6'],
    ['anchor_altered', `UPDATE ${H}_head SET entries = entries - 1 WHERE $id`, '0'],
    ['history_missing', `DELETE FROM ${H}_head WHERE $id`, '0'],
  ])('names %s after a superuser did: %s', async (fault, sql, position) => {
    const tenantId = tenant();
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    const second = await rig.conflict(tenantId);
    await resolve(tenantId, second);
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    expect((await verify(tenantId)).broken).toBeNull();
    await rig.test.tamper(
      sql.replace('$t', `tenant_id = '${tenantId}'`).replace('$id', `conflict_id = '${second}'`),
    );
    expect(await verify(tenantId)).toMatchObject({ broken: { fault, position }, next: null });
  });

  it('finds a history that was taken away whole, with the chain and its end made to fit again', async () => {
    const tenantId = tenant();
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    const last = await rig.conflict(tenantId);
    const ofLast = `conflict_id = '${last}'`;
    const ofTenant = `tenant_id = '${tenantId}'`;
    const fitted = `UPDATE ${H}_anchor SET entries = 2,
      hash = (SELECT hash FROM ${H} WHERE ${ofTenant} AND position = 2) WHERE ${ofTenant}`;
    await rig.test.tamper(`DELETE FROM ${H} WHERE ${ofLast}`, fitted);
    const of = { position: '0', conflictId: last };
    expect((await verify(tenantId)).broken).toMatchObject({ ...of, fault: 'history_missing' });
    await rig.test.tamper(`DELETE FROM ${H}_head WHERE ${ofLast}`);
    expect((await verify(tenantId)).broken).toMatchObject({ ...of, fault: 'history_missing' });
    await rig.test.tamper(`DELETE FROM ${R} WHERE ${ofLast}`);
    expect((await verify(tenantId)).broken).toBeNull();
  });

  it('finds a record of which nothing but the count of its entries is left', async () => {
    const tenantId = tenant();
    const only = await rig.conflict(tenantId);
    const of = `WHERE tenant_id = '${tenantId}'`;
    await rig.test.tamper(
      `DELETE FROM ${R} ${of}`,
      `DELETE FROM ${H} ${of}`,
      `DELETE FROM ${H}_anchor ${of}`,
    );
    expect((await verify(tenantId)).broken).toMatchObject({ conflictId: only, fault: 'record_missing' });
  });

  it('is not appeased by what is appended after something was cut off', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 2; count += 1) await rig.conflict(tenantId, { status: 'auto_resolved' });
    await rig.test.tamper(`DELETE FROM ${H} WHERE tenant_id = '${tenantId}' AND position = 4`);
    await rig.conflict(tenantId);
    expect((await verify(tenantId)).broken).toMatchObject({ fault: 'entry_missing', position: '5' });
  });

  it('is not troubled by what is appended meanwhile', async () => {
    const tenantId = tenant();
    let appending = true;
    const appended = (async () => {
      for (let count = 0; count < 30; count += 1) await rig.conflict(tenantId, { status: 'auto_resolved' });
      appending = false;
    })();
    while (appending) expect((await walk(tenantId, 7)).at(-1)?.broken).toBeNull();
    await appended;
  });

  it('sees only its own tenant, and refuses a cursor that is none', async () => {
    await rig.conflict('t-first', { draft: DRAFT });
    expect((await verify('t-second')).checked).toBe(0);
    await expect(verify('t-first', 10, 'bm9wZQ')).rejects.toMatchObject({ code: 'cursor_invalid' });
  });
});
