import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { TestDatabase } from '@sync/postgres/testing';
import { createLogger } from '@sync/service-kit';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { tombstonePruning } from './prune-tombstones.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

it('removes old deletions and used-up tickets of all tenants, in batches, and nothing else', async () => {
  const projector = new TestProjector();
  for (const tenant of ['t1', 't2']) {
    for (let at = 0; at < 1_200; at += 1)
      projector.put(tenant, 'course:a', `n${at}`).delete(tenant, 'course:a', `n${at}`);
    projector
      .put(tenant, 'course:a', 'old but alive')
      .put(tenant, 'course:a', 'young')
      .delete(tenant, 'course:a', 'young');
  }
  await projector.ingest(test.database);
  for (const tenant of ['t1', 't2']) {
    await test.database.inTenant(tenant, async (tx) => {
      await tx.query(
        `UPDATE scope_delta SET stored_at = now() - interval '31 days' WHERE entity_id <> 'young'`,
      );
      await tx.query(
        `INSERT INTO live_ticket SELECT t.id || $1::text, $1, 'u1', 'd1', now() + t.lasts
         FROM (VALUES ('old', interval '-1 s'), ('new', interval '1 h')) AS t (id, lasts)`,
        [tenant],
      );
    });
  }
  const prune = tombstonePruning({
    database: test.database,
    logger: createLogger({ service: 'test', level: 'silent' }),
    days: 30,
  });
  expect(await prune.prune()).toBe(2_400);
  expect(await prune.prune()).toBe(0);
  for (const tenant of ['t1', 't2']) {
    const left = await test.database.inTenant(tenant, (tx) =>
      tx.query(
        `SELECT entity_id AS name FROM scope_delta UNION ALL SELECT id FROM live_ticket ORDER BY name`,
      ),
    );
    expect(left).toEqual([{ name: `new${tenant}` }, { name: 'old but alive' }, { name: 'young' }]);
    const head = await test.database.inTenant(tenant, (tx) =>
      tx.query('SELECT pruned_below FROM scope_head'),
    );
    expect(head).toEqual([{ pruned_below: '2400' }]);
  }
});
