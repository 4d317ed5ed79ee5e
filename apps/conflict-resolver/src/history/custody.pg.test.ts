import { randomUUID } from 'node:crypto';
import { sqlStateOf } from '@sync/postgres';
import { Client } from 'pg';
import { lockRow, storeResolution } from '../records/conflict-store.ts';
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

/** One statement as the app's role, in the tenant. @returns the SQLSTATE it fails with, or the rows it touched */
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
    await lockRow(tx, tenantId, conflictId);
    await storeResolution(tx, tenantId, conflictId, {
      decision: { kind: 'keep_server', clock: { 'd:b': 1 } },
      decider: { kind: 'person', userId: 'u1', deviceId: 'a' },
      resolvedAt: new Date().toISOString(),
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
    ])
      expect([sql, await asApp(tenantId, sql)]).toEqual([sql, INSUFFICIENT_PRIVILEGE]);
  });

  it('is not even changed by the owner of the table while the guards are on', async () => {
    const tenantId = tenant();
    const conflictId = await rig.conflict(tenantId);
    await expect(
      asOwner(tenantId, `UPDATE conflict_record SET draft = '{}' WHERE conflict_id = '${conflictId}'`),
    ).rejects.toThrow('never changes otherwise');
    await expect(asOwner(tenantId, 'TRUNCATE conflict_record')).rejects.toThrow('TRUNCATE');
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

describe('verify', () => {
  it('walks a whole history in pages and says up to which hash it is whole', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 3; count += 1) await rig.conflict(tenantId, { status: 'auto_resolved' });
    const first = await verify(tenantId, 4);
    const second = await verify(tenantId, 4, first.next);
    expect([first.checked, second.checked, second.next]).toEqual([4, 2, null]);
    expect(second.hash).toBe((await verify(tenantId)).hash);
    expect(await verify(tenant())).toEqual({ checked: 0, broken: null, hash: null, next: null });
  });

  const guards = (of: string, state: string): string => `ALTER TABLE ${of} ${state} TRIGGER USER`;
  it.each([
    [
      'entry_altered',
      'conflict_history',
      `UPDATE conflict_history SET entry = replace(entry, 'u1', 'u2') WHERE position = 3`,
    ],
    ['entry_missing', 'conflict_history', 'DELETE FROM conflict_history WHERE position = 3'],
    [
      'record_altered',
      'conflict_record',
      `UPDATE conflict_record SET draft = jsonb_set(draft, '{theirs}', '{"text":"x"}') WHERE conflict_id = $id`,
    ],
    [
      'record_altered',
      'conflict_record',
      `UPDATE conflict_record SET decision = '{"kind":"merged"}' WHERE conflict_id = $id`,
    ],
    ['record_missing', 'conflict_record', 'DELETE FROM conflict_record WHERE conflict_id = $id'],
  ])('names %s of %s after somebody with the database in hands did: %s', async (fault, table, sql) => {
    const tenantId = tenant();
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    const second = await rig.conflict(tenantId, { status: 'auto_resolved' });
    await rig.conflict(tenantId, { status: 'auto_resolved' });
    await asOwner(
      tenantId,
      guards(table, 'DISABLE'),
      sql.replace('$id', `'${second}'`),
      guards(table, 'ENABLE'),
    );
    const { broken, next } = await verify(tenantId);
    expect({ fault: broken?.fault, next }).toEqual({ fault, next: null });
    // The third entry is about the second record; a changed decision shows where it was taken.
    expect(['3', '4']).toContain(broken?.position);
  });

  it('names the link whose hash was made to fit again', async () => {
    const tenantId = tenant();
    for (let count = 0; count < 2; count += 1) await rig.conflict(tenantId, { status: 'auto_resolved' });
    await asOwner(
      tenantId,
      guards('conflict_history', 'DISABLE'),
      `UPDATE conflict_history SET entry = replace(entry, 'lww', 'xxx'),
         hash = encode(sha256(convert_to(replace(entry, 'lww', 'xxx'), 'UTF8')), 'hex') WHERE position = 2`,
      guards('conflict_history', 'ENABLE'),
    );
    expect((await verify(tenantId)).broken).toMatchObject({ position: '3', fault: 'link_broken' });
  });

  it('sees only its own tenant, and refuses a cursor that is none', async () => {
    await rig.conflict('t-first', { draft: DRAFT });
    expect((await verify('t-second')).checked).toBe(0);
    await expect(verify('t-first', 10, 'bm9wZQ')).rejects.toMatchObject({ code: 'cursor_invalid' });
  });
});
