import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { Tx } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';

/**
 * A cached plan was made when the tables were empty; it must not read more when they have grown. Counted are
 * rows read, within the transaction: the same on every machine.
 */
let test: TestDatabase;
const BATCH = 20;
const GROWN = 20_000;

beforeAll(async () => {
  test = await gatewayDatabase(1);
  // Six executions on empty tables: from then on the session keeps its generic plan.
  for (let round = 0; round < 6; round += 1) {
    await test.database
      .transaction(async (tx) => {
        const items = itemsOf();
        await receive(tx, items);
        if (round % 2 === 0) await spread(tx);
        await complete(tx, items);
        await tx.query(`SELECT * FROM read_known('t', 'u', 'd', $1, 1000000)`, [
          JSON.stringify(headsOf(items)),
        ]);
        await tx.query(`SELECT * FROM dispatch_load('t', 'd', 1000, 100, 1000000)`);
        throw new Error('leave no rows');
      })
      .catch(() => undefined);
  }
  await test.database.inTenant('t', async (tx) => {
    await tx.query(
      `INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, scope, entity_type, entity_id,
        payload_hash, status, outcome, terminal_at, next_attempt_at)
       SELECT 't', gen_random_uuid(), 'u', 'd' || i % 50, 'user:u', 'note', 'n' || i, '', s.status,
         CASE WHEN s.status = 'applied' THEN '{}' END, CASE WHEN s.status = 'applied' THEN now() END, now()
       FROM generate_series(1, $1) i CROSS JOIN LATERAL (SELECT CASE WHEN i % 2 = 0 THEN 'applied' ELSE 'accepted' END AS status) s`,
      [GROWN],
    );
    await tx.query(
      `INSERT INTO scope_delta (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted, clock, wire)
       SELECT 't', 'user:u', 'note', 'n' || i, i, 1, false, '{}', '{}' FROM generate_series(1, $1) i`,
      [GROWN],
    );
  });
});
afterAll(() => test.drop());

interface Item {
  readonly id: string;
  readonly eid: string;
}

function itemsOf(): Item[] {
  return Array.from({ length: BATCH }, (_, place) => ({ id: randomUUID(), eid: `n${place * 7}` }));
}

async function receive(
  tx: Tx,
  items: readonly Item[],
): Promise<readonly { verdict: string; head_wire: string | null }[]> {
  const all = <T>(value: T): T[] => items.map(() => value);
  return tx.call(
    'push_receive',
    `SELECT (answer).* FROM push_receive_together('{t}', '{u}', '{new}', '{NULL}',
       $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1000, 100, 1000000)`,
    [
      ...[[items.length], items.map(({ id }) => id), all('aa'), all(1), all('user:u'), all('note')],
      ...[items.map(({ eid }) => eid), all('put'), all(0), all(true), all('{}').join('\n')],
    ],
  );
}

async function complete(tx: Tx, items: readonly Item[]): Promise<void> {
  const all = <T>(value: T): T[] => items.map(() => value);
  await tx.call(
    'push_complete',
    `SELECT push_complete_together('{t}', '{u}', '{new}', '{NULL}', '{NULL}', '{NULL}', '{0}', '{NULL}',
       $1, $2, $3, $4, $5, $6)`,
    [...[[items.length], items.map(({ id }) => id), all(0), all('applied'), all(null)], all('{}').join('\n')],
  );
}

/** p_items of read_known. */
function headsOf(items: readonly Item[]): object[] {
  return items.map(({ eid }, place) => ({ place, scope: 'user:u', type: 'note', eid }));
}

/** As when another push of the device comes before it is completed. */
async function spread(tx: Tx): Promise<void> {
  await tx.query(`SELECT push_spread('t', 'new')`);
}

/**
 * Rows of the ledger and the read model that `work` reads. What the session counted and has not reported yet
 * is in both readings.
 */
async function rowsRead(work: (tx: Tx) => Promise<void>): Promise<number> {
  return test.database.transaction(async (tx) => {
    const before = await countedRows(tx);
    await work(tx);
    return (await countedRows(tx)) - before;
  });
}

async function countedRows(tx: Tx): Promise<number> {
  const rows = await tx.query<{ read: number }>(
    `SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int4 AS read
     FROM pg_stat_xact_user_tables WHERE relname IN ('mutation', 'scope_delta')`,
  );
  return rows[0]?.read ?? -1;
}

describe('rows read per push', () => {
  it('stay a few per mutation however many there are', async () => {
    const items = itemsOf();
    const first = await rowsRead(async (tx) => {
      const rows = await receive(tx, items);
      expect(rows.filter(({ head_wire: wire }) => wire !== null)).toHaveLength(BATCH - 1);
    });
    const completed = await rowsRead((tx) => complete(tx, items));
    const repeated = await rowsRead(async (tx) => {
      expect((await receive(tx, items)).every(({ verdict }) => verdict === 'answered')).toBe(true);
    });
    const spreadFirst = await rowsRead(async (tx) => {
      const others = itemsOf();
      await receive(tx, others);
      await spread(tx);
      await complete(tx, others);
    });
    expect(Math.max(first, completed, repeated)).toBeLessThan(BATCH * 5);
    expect(spreadFirst).toBeLessThan(BATCH * 10);
  });

  it('stay within the device for heads and background work', async () => {
    const heads = await rowsRead(async (tx) => {
      await tx.query(`SELECT * FROM read_known('t', 'u', 'd', $1, 1000000)`, [
        JSON.stringify(headsOf(itemsOf())),
      ]);
    });
    expect(heads).toBeLessThan(BATCH * 3);
    const loaded = await rowsRead(async (tx) => {
      expect(await tx.query(`SELECT * FROM dispatch_load('t', 'd1', 1000, 100, 1000000)`)).toHaveLength(100);
    });
    // 400 open ones of the device are looked through; 100 of them are updated, their heads measured and read.
    expect(loaded).toBeLessThan(1_200);
  });

  it('stay so when the planner has statistics and plans anew', async () => {
    const owner = new Client({ connectionString: test.ownerUrl });
    await owner.connect();
    await owner.query('ANALYZE');
    await owner.end();
    await test.database.transaction((tx) => tx.query('DISCARD PLANS'));
    // The pool has one session: by the seventh execution it has chosen between a generic and a custom plan.
    for (let round = 0; round < 7; round += 1) {
      const items = itemsOf();
      const read = await rowsRead(async (tx) => {
        await receive(tx, items);
        if (round % 2 === 0) await spread(tx);
        await complete(tx, items);
      });
      // Entries of rounds before stay until they are vacuumed; the whole scope would be 20,000 for each.
      expect(read).toBeLessThan(BATCH * 20);
    }
  });
});
