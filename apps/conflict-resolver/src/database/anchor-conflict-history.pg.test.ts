import { randomUUID } from 'node:crypto';
import { Database, functionSchemaOf, migrate } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { answerVerify } from '../history/answer-verify.ts';
import { appendHistory } from '../history/history-store.ts';
import { conflictOf, type DetectedConflict, firstEntries } from '../records/conflict-record.ts';
import { insertConflicts } from '../records/conflict-store.ts';
import { conflictEvent } from '../testing/conflict-rig.ts';
import { AnchorConflictHistory1764150000000 } from './anchor-conflict-history.ts';
import { APP_RIGHTS, FUNCTIONS, MIGRATIONS } from './schema.ts';

/**
 * A database as the version before left it: records and histories of two tenants, and nothing that counts
 * them.
 */
let test: TestDatabase;
let database: Database;
const before = MIGRATIONS.filter((migration) => migration !== AnchorConflictHistory1764150000000);
const TENANTS = ['t-old', 't-older'] as const;

function detected(tenantId: string, status: 'open' | 'auto_resolved'): DetectedConflict {
  const found = conflictOf(conflictEvent(tenantId, { status, conflictId: randomUUID() }));
  if (!found) throw new Error('no conflict in its event');
  return found.record;
}

async function record(tenantId: string, conflict: DetectedConflict, history = true): Promise<void> {
  await database.inTenant(tenantId, async (tx) => {
    await insertConflicts(tx, tenantId, [conflict]);
    if (history) await appendHistory(tx, tenantId, firstEntries(conflict));
  });
}

beforeAll(async () => {
  const postgres = await startPostgres();
  test = await createTestDatabase({ postgres, name: 'anchors', migrations: before });
  database = test.database;
  for (const tenantId of TENANTS) {
    await record(tenantId, detected(tenantId, 'auto_resolved'));
    await record(tenantId, detected(tenantId, 'open'));
  }
  // From before there were histories.
  await record('t-older', detected('t-older', 'auto_resolved'), false);
  const { ownerUrl } = test;
  await migrate({ ownerUrl, migrations: MIGRATIONS, functions: FUNCTIONS, appRights: APP_RIGHTS });
  const functionSchema = functionSchemaOf(FUNCTIONS);
  database = await Database.connect({ url: test.appUrl, applicationName: 'anchors', functionSchema });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

const verify = (tenantId: string): ReturnType<typeof answerVerify> =>
  answerVerify(database, { tenantId, cursor: null, limit: 100 });

describe('histories from before their anchors', () => {
  it('verify as they are, and go on', async () => {
    for (const [at, tenantId] of TENANTS.entries()) {
      expect(await verify(tenantId)).toMatchObject({ checked: 3, records: 2 + at, broken: null });
      await record(tenantId, detected(tenantId, 'auto_resolved'));
      expect(await verify(tenantId)).toMatchObject({ checked: 5, records: 3 + at, broken: null });
    }
  });

  it('stay behind the row level security that the filling lifted', async () => {
    const tables = `('conflict_history', 'conflict_record', 'conflict_history_anchor', 'conflict_history_head')`;
    const rows = await database.call<{ forced: boolean }>(
      'forced',
      `SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname IN ${tables}`,
      [],
    );
    expect(rows.map(({ forced }) => forced)).toEqual([true, true, true, true]);
  });
});
