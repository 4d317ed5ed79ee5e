import { readInOrder, type Tx } from '@sync/postgres';
import { readAnchored, readCustody, readEvidence } from '../history/custody-store.ts';
import { loadHistories, readLinks, readLinksOf } from '../history/history-store.ts';
import { listConflicts } from '../listing/list-store.ts';
import { readClaim, TAKE_DUE_CLAIMS, writeClaim } from '../resolve/claim-store.ts';
import { ConflictRig } from '../testing/conflict-rig.ts';
import { insertConflicts, loadRows, lockRow } from './conflict-store.ts';

/**
 * No statement reads a whole tenant. Counted are rows read, within the transaction: the same on every
 * machine. The tables have no statistics, as after a burst of conflicts in a fresh database, which is when a
 * planner guesses.
 */
const GROWN = 6_000;
const TENANT = 't-plans';
const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

let rig: ConflictRig;

beforeAll(async () => {
  rig = await ConflictRig.start();
  await rig.test.database.inTenant(TENANT, async (tx) => {
    await tx.query(
      `INSERT INTO conflict_record (tenant_id, conflict_id, status, policy, entity_type, entity_id, scope, user_id,
         device_id, mutation_id, fields, draft, detected_at, resolved_at)
       SELECT $1, ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
         CASE WHEN i % 100 = 0 THEN 'open' ELSE 'auto_resolved' END, 'lww', 'note', 'n' || i % 500, 'user:u' || i % 200,
         'u' || i % 200, 'd', gen_random_uuid(), '{text}', '{"fields":[]}', now() - i * interval '1 minute', now()
       FROM generate_series(1, $2) i`,
      [TENANT, GROWN],
    );
    await tx.query(
      `INSERT INTO conflict_history (tenant_id, position, conflict_id, entry, hash)
       SELECT $1, i, ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
         '{"what":"detected","who":{},"facts":{},"previous":""}', '' FROM generate_series(1, $2) i`,
      [TENANT, GROWN],
    );
    await tx.query(
      `INSERT INTO conflict_claim SELECT $1, ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
        1, '', NULL, 0, now()
       FROM generate_series(1, $2) i`,
      [TENANT, GROWN],
    );
    await tx.query(
      `INSERT INTO open_conflict SELECT $1, ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, now(),
         CASE WHEN i <= 3 THEN now() END FROM generate_series(1, $2) i`,
      [TENANT, GROWN],
    );
  });
});
afterAll(async () => {
  await rig.stop();
});

/** Rows of the resolver's tables that `work` reads. */
function rowsRead(work: (tx: Tx) => Promise<unknown>, inOrder = false): Promise<number> {
  return rig.test.database.inTenant(TENANT, async (tx) => {
    if (inOrder) await readInOrder(tx);
    const before = await countedRows(tx);
    await work(tx);
    return (await countedRows(tx)) - before;
  });
}

async function countedRows(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ read: number }>(
    `SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int4 AS read
     FROM pg_stat_xact_user_tables WHERE relname LIKE '%conflict%'`,
  );
  return row?.read ?? -1;
}

const page = { tenantId: TENANT, cursor: null, limit: 10 };

describe('rows read', () => {
  it.each([
    ['of the tenant', {}],
    ['of a user', { userId: 'u7' }],
    ['open, of a user', { userId: 'u100', status: 'open' as const }],
    ['of an entity', { entityType: 'note', entityId: 'n7' }],
  ])('of a list %s are those of its page', async (_name, filter) => {
    const read = await rowsRead(async (tx) => {
      expect((await listConflicts(tx, { ...page, ...filter }, null, 10)).length).toBeGreaterThan(9);
    }, true);
    expect(read).toBeLessThanOrEqual(20);
  });

  it('of a later page are not those before it', async () => {
    const read = await rowsRead(async (tx) => {
      const [last] = await tx.query<{ at: string }>(
        'SELECT detected_at::text AS at FROM conflict_record WHERE tenant_id = $1 AND conflict_id = $2',
        [TENANT, idOf(5_000)],
      );
      const after = { detectedAt: last?.at ?? '', conflictId: idOf(5_000) };
      expect(await listConflicts(tx, page, after, 10)).toHaveLength(10);
    }, true);
    expect(read).toBeLessThanOrEqual(20);
  });

  it('of records, histories and claims are those that are asked for', async () => {
    const ids = [1, 2_000, 4_000].map(idOf);
    const works: readonly ((tx: Tx) => Promise<unknown>)[] = [
      (tx) => loadRows(tx, TENANT, ids),
      (tx) => lockRow(tx, TENANT, idOf(3_000)),
      (tx) => loadHistories(tx, TENANT, ids, 100),
      (tx) => readLinks(tx, TENANT, '3000', 5),
      (tx) => readAnchored(tx, TENANT, '3000', 5),
      (tx) => readEvidence(tx, TENANT, ids),
      (tx) => readClaim(tx, TENANT, idOf(3_000)),
      (tx) => writeClaim(tx, TENANT, idOf(3_000), { attempt: 2, requestHash: '', claim: null }, 0),
      (tx) => insertConflicts(tx, TENANT, []),
    ];
    for (const [place, work] of works.entries()) {
      const read = await rowsRead(work);
      expect([place, read <= 12]).toEqual([place, true]);
    }
  });

  it('of a page of a history are those of the record', async () => {
    expect(await rowsRead((tx) => readLinksOf(tx, TENANT, idOf(3_000), '0', 5), true)).toBeLessThanOrEqual(3);
  });

  it('of a page of records and what is left of them are theirs', async () => {
    const read = await rowsRead(async (tx) => {
      expect(await readCustody(tx, TENANT, idOf(3_000), 10)).toHaveLength(10);
    });
    // Two lists of ids, then row, head and one entry of each record.
    expect(read).toBeLessThanOrEqual(60);
  });

  it('of the queue are those that are due', async () => {
    const read = await rowsRead(async (tx) => {
      expect(await tx.query(TAKE_DUE_CLAIMS, [16])).toHaveLength(3);
    });
    expect(read).toBeLessThanOrEqual(12);
  });
});
