import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';
import { silent } from '../testing/push-rig.ts';
import { ledgerPruning } from './prune-ledger.ts';

let test: TestDatabase;
beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

it('forgets old outcomes of all tenants and keeps young ones and what has none yet', async () => {
  for (const tenant of ['a', 'b']) {
    await test.database.inTenant(tenant, async (tx) => {
      await tx.query('INSERT INTO known_tenant VALUES ($1)', [tenant]);
      await tx.query(
        `INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, payload_hash, status, outcome,
          received_at, terminal_at)
         SELECT $1, gen_random_uuid(), 'u', r.name, '', r.status, r.outcome, now() - r.age, now() - r.done
         FROM (VALUES ('old', 'applied', '{}', interval '40 days', interval '40 days'),
                      ('late', 'applied', '{}', interval '40 days', interval '1 day'),
                      ('young', 'applied', '{}', interval '1 day', interval '1 day'),
                      ('open', 'accepted', NULL, interval '40 days', NULL)) AS r (name, status, outcome, age, done)`,
        [tenant],
      );
    });
  }
  expect(await ledgerPruning(test.database, silent, 31).prune()).toBe(2);
  const rows = await test.database.inTenant(['a', 'b'], (tx) =>
    tx.query<{ name: string }>('SELECT tenant_id || device_id AS name FROM mutation ORDER BY 1'),
  );
  expect(rows.map(({ name }) => name)).toEqual(['alate', 'aopen', 'ayoung', 'blate', 'bopen', 'byoung']);
});

it('forgets what old outcomes showed, and keeps what young ones do', async () => {
  await test.database.inTenant('a', (tx) =>
    tx.query(`INSERT INTO shown_entity
      SELECT 'a', 'u', 'd', 'user:u', 'note', r.name, '{}', '{}', now() - r.age
      FROM (VALUES ('old', interval '40 days'), ('young', interval '1 day')) AS r (name, age)`),
  );
  await ledgerPruning(test.database, silent, 31).prune();
  const rows = await test.database.inTenant('a', (tx) =>
    tx.query<{ name: string }>('SELECT entity_id AS name FROM shown_entity'),
  );
  expect(rows).toEqual([{ name: 'young' }]);
});
