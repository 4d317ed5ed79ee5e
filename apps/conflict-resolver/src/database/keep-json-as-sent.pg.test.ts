import { randomUUID } from 'node:crypto';
import { Database, functionSchemaOf, migrate } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { answerVerify } from '../history/answer-verify.ts';
import { appendHistory } from '../history/history-store.ts';
import { conflictOf, firstEntries } from '../records/conflict-record.ts';
import { insertConflicts, loadRows, lockRow } from '../records/conflict-store.ts';
import { settleResolution } from '../resolve/settle-resolution.ts';
import { readClaim, writeClaim } from '../resolve/claim-store.ts';
import { noSuggestions } from '../suggestions/suggestion-source.ts';
import { conflictEvent, DRAFT, SilentOwner } from '../testing/conflict-rig.ts';
import { KeepJsonAsSent1764200000000 } from './keep-json-as-sent.ts';
import { APP_RIGHTS, FUNCTIONS, MIGRATIONS } from './schema.ts';

/** A database as the version before left it, with the functions of that version. */
const before = MIGRATIONS.filter((migration) => migration !== KeepJsonAsSent1764200000000);
const TENANT = 't-numbers';
const theirs = { text: 'client', numbers: [5e-324, -1.5e-300, 0.1, 9_007_199_254_740_991] };
const draft = { ...DRAFT, theirs };
let test: TestDatabase;
let database: Database;

async function record(status: 'open' | 'auto_resolved'): Promise<string> {
  const found = conflictOf(conflictEvent(TENANT, { status, draft, conflictId: randomUUID() }));
  if (!found) throw new Error('no conflict in its event');
  await database.inTenant(TENANT, async (tx) => {
    await insertConflicts(tx, TENANT, [found.record]);
    await appendHistory(tx, TENANT, firstEntries(found.record));
  });
  return found.record.conflictId;
}

async function resolve(conflictId: string): Promise<void> {
  const context = { owner: new SilentOwner(), suggestions: noSuggestions, now: () => new Date(), waitMs: 0 };
  await database.inTenant(TENANT, async (tx) => {
    const row = await lockRow(tx, TENANT, conflictId);
    if (!row) throw new Error('no such record');
    await settleResolution(tx, context, TENANT, row, {
      ...{ kind: 'merged', suggestionId: null, userId: 'u1', deviceId: 'a', clock: { 'd:b': 1 } },
      decision: { kind: 'merged', clock: { 'd:b': 1 }, data: theirs },
    });
  });
}

beforeAll(async () => {
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'numbers', migrations: before });
  database = test.database;
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

describe('a record of what somebody wrote', () => {
  it('from before stays what it was: its history verifies, and it can be resolved', async () => {
    const [old, open] = [await record('auto_resolved'), await record('open')];
    const { ownerUrl } = test;
    await migrate({ ownerUrl, migrations: MIGRATIONS, functions: FUNCTIONS, appRights: APP_RIGHTS });
    const functionSchema = functionSchemaOf(FUNCTIONS);
    database = await Database.connect({ url: test.appUrl, applicationName: 'numbers', functionSchema });
    await resolve(open);
    const rows = await database.inTenant(TENANT, (tx) => loadRows(tx, TENANT, [old, open]));
    expect(rows.map((row) => row.draft.theirs)).toEqual([theirs, theirs]);
    const page = { tenantId: TENANT, cursor: null, limit: 100 };
    expect(await answerVerify(database, page)).toMatchObject({ records: 2, broken: null });
  });

  it('can be read by replicas of the version before, which take it for jsonb', async () => {
    const asked = `SELECT draft ? 'blocks' AS "hasBlocks", draft ? 'fields' AS "hasFields",
        fields = ARRAY(SELECT f ->> 'field' FROM jsonb_array_elements(draft -> 'fields') f) AS fit
      FROM conflict_record`;
    const rows = await database.inTenant(TENANT, (tx) => tx.query(asked));
    const expected = { hasBlocks: false, hasFields: true, fit: true };
    expect(rows).toEqual([expected, expected]);
  });

  it('is kept as the text that came, and so is what was decided', async () => {
    const many = { numbers: Array.from({ length: 37_000 }, () => 5e-324) };
    const sent = { ...DRAFT, theirs: many };
    const event = conflictEvent(TENANT, { draft: sent, conflictId: randomUUID() });
    const found = conflictOf(event);
    if (!found) throw new Error('no conflict in its event');
    const { conflictId } = found.record;
    const text = await database.inTenant(TENANT, async (tx) => {
      await insertConflicts(tx, TENANT, [found.record]);
      const [row] = await tx.query<{ text: string }>(
        'SELECT draft::text AS text FROM conflict_record WHERE conflict_id = $1',
        [conflictId],
      );
      return row?.text;
    });
    expect(text).toBe(JSON.stringify(sent));
    await resolve(conflictId);
    const [row] = await database.inTenant(TENANT, (tx) => loadRows(tx, TENANT, [conflictId]));
    expect(row).toMatchObject({ status: 'resolved', decision: { data: theirs }, draft: { theirs: many } });
  });

  it('waits as the text that came while its owner is asked', async () => {
    const conflictId = await record('open');
    const mutation = { mutationId: randomUUID(), data: theirs } as never;
    const claim = {
      kind: 'keep_client',
      suggestionId: null,
      userId: 'u1',
      deviceId: 'a',
      clock: {},
    } as const;
    const text = await database.inTenant(TENANT, async (tx) => {
      const sent = { ...claim, service: 'learning', pushSubject: 'p', mutation };
      await writeClaim(tx, TENANT, conflictId, { attempt: 1, requestHash: 'h', claim: sent }, 1_000);
      expect((await readClaim(tx, TENANT, conflictId))?.claim).toEqual(sent);
      const [row] = await tx.query<{ text: string }>(
        `SELECT claim -> 'mutation' ->> 'data' AS text FROM conflict_claim WHERE conflict_id = $1`,
        [conflictId],
      );
      return row?.text;
    });
    expect(text).toBe(JSON.stringify(theirs));
  });
});
