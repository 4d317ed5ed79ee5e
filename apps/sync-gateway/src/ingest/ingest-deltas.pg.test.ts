import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@sync/postgres/testing';
import { joinDeltaLines } from '@sync/protocol';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { type DeltaMessage, type IngestedChange, ingestDeltas } from './ingest-store.ts';
import { TestProjector } from '../testing/test-projector.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

function aScope(): string {
  return `course:${randomUUID()}`;
}

async function rowsOf(scope: string): Promise<{ entity_id: string; sequence: string; deleted: boolean }[]> {
  return test.database.inTenant('t1', (tx) =>
    tx.query('SELECT entity_id, sequence, deleted FROM scope_delta WHERE scope = $1 ORDER BY sequence', [
      scope,
    ]),
  );
}

async function headOf(scope: string): Promise<{ epoch: string; sequence: string } | undefined> {
  const rows = await test.database.inTenant('t1', (tx) =>
    tx.query<{ epoch: string; sequence: string }>('SELECT epoch, sequence FROM scope_head WHERE scope = $1', [
      scope,
    ]),
  );
  return rows[0];
}

it('keeps one row per entity and scope, a deletion included', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  projector.put('t1', scope, 'a').put('t1', scope, 'b').put('t1', scope, 'a').delete('t1', scope, 'b');
  await projector.ingest(test.database);
  expect(await rowsOf(scope)).toEqual([
    { entity_id: 'a', sequence: '3', deleted: false },
    { entity_id: 'b', sequence: '4', deleted: true },
  ]);
});

it('takes several messages of one batch in order', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  const messages = [
    projector.put('t1', scope, 'a').message(),
    projector.put('t1', scope, 'b').put('t1', scope, 'a').message(),
  ];
  await projector.ingest(test.database, messages);
  expect((await rowsOf(scope)).map((row) => [row.entity_id, row.sequence])).toEqual([
    ['b', '2'],
    ['a', '3'],
  ]);
  expect(await headOf(scope)).toEqual({ epoch: 'e1', sequence: '3' });
});

it('changes nothing when an older message comes again', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  const old = projector.put('t1', scope, 'a').message();
  await projector.ingest(test.database, [old]);
  await projector.put('t1', scope, 'a').ingest(test.database);
  await projector.ingest(test.database, [old]);
  expect(await rowsOf(scope)).toEqual([{ entity_id: 'a', sequence: '2', deleted: false }]);
  expect(await headOf(scope)).toEqual({ epoch: 'e1', sequence: '2' });
});

it('drops the old epoch when a new one begins, also within one batch', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  await projector.put('t1', scope, 'a').put('t1', scope, 'b').ingest(test.database);
  const lastOfOld = projector.put('t1', scope, 'c').message();
  const firstOfNew = projector.newEpoch('t1', scope, 'e2').put('t1', scope, 'b').message();
  await projector.ingest(test.database, [lastOfOld, firstOfNew]);
  expect(await rowsOf(scope)).toEqual([{ entity_id: 'b', sequence: '1', deleted: false }]);
  expect(await headOf(scope)).toEqual({ epoch: 'e2', sequence: '1' });
});

it('takes grants by revision and answers what changed', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  const grant = projector.grant('t1', 'u1', scope).message();
  const revocation = projector.grant('t1', 'u1', scope, false).message();
  const changes = await projector.ingest(test.database, [revocation]);
  expect(changes.filter(({ kind }) => kind === 'user')).toMatchObject([{ tenant_id: 't1', name: 'u1' }]);
  expect((await projector.ingest(test.database, [grant])).filter(({ kind }) => kind === 'user')).toEqual([]);
  const [row] = await test.database.inTenant('t1', (tx) =>
    tx.query<{ held: boolean }>(`SELECT holds_scope('t1', 'u1', $1) AS held`, [scope]),
  );
  expect(row?.held).toBe(false);
});

it('takes deltas without a time, of a snapshot, and answers the lag of those that have one', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  const lagsOf = async (...messages: readonly string[]): Promise<number> => {
    const changes = await projector.ingest(test.database, messages);
    return changes.filter(({ kind }) => kind === 'lag').length;
  };
  const ofSnapshot = (): string => projector.put('t1', scope, 'a').put('t1', scope, 'b').message(false);
  expect(await lagsOf(ofSnapshot())).toBe(0);
  expect((await rowsOf(scope)).map((row) => row.entity_id)).toEqual(['a', 'b']);
  expect(await lagsOf(projector.put('t1', scope, 'c').message(), ofSnapshot())).toBe(1);
});

it('counts ingests per partition, so that a sweep finds each once', async () => {
  const projector = new TestProjector();
  const numberOf = async (): Promise<bigint> => {
    const changes = await projector.put('t1', aScope(), 'a').ingest(test.database, undefined, 7);
    return BigInt(changes.find(({ kind }) => kind === 'number')?.name ?? '0');
  };
  const first = await numberOf();
  expect(await numberOf()).toBe(first + 1n);
});

it('counts an ingest of several partitions in each of them', async () => {
  const projector = new TestProjector();
  const scopes = new Map([21, 22].map((partition) => [partition, aScope()]));
  const messagesOf = (partition: number): DeltaMessage[] => {
    const scope = scopes.get(partition) ?? '';
    const payload = projector.put('t1', scope, 'a').grant('t1', 'u1', scope).message();
    return [{ partition, payload }];
  };
  const ingest = (...messages: readonly DeltaMessage[]): Promise<IngestedChange[]> =>
    test.database.transaction((tx) => ingestDeltas(tx, messages));
  await ingest(...messagesOf(21));
  const changes = await ingest(...messagesOf(22), ...messagesOf(21), ...messagesOf(22));
  const numbers = changes.filter(({ kind }) => kind === 'number').map((row) => [row.partition, row.name]);
  expect(numbers.sort()).toEqual([
    [21, '2'],
    [22, '1'],
  ]);
  for (const table of ['scope_head', 'scope_grant']) {
    const rows = await test.database.inTenant('t1', (tx) =>
      tx.query(
        `SELECT scope, ingest_partition, ingest_number FROM ${table} WHERE ingest_partition IN (21, 22)
         ORDER BY ingest_partition`,
      ),
    );
    expect(rows).toEqual([
      { scope: scopes.get(21), ingest_partition: 21, ingest_number: '2' },
      { scope: scopes.get(22), ingest_partition: 22, ingest_number: '1' },
    ]);
  }
});

it('writes for all tenants of a batch, and each sees only its own', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  await projector.put('t1', scope, 'a').put('t-other', scope, 'b').ingest(test.database);
  expect((await rowsOf(scope)).map((row) => row.entity_id)).toEqual(['a']);
});

it('refuses a tenant that could not be one, and then writes nothing', async () => {
  const projector = new TestProjector();
  const scope = aScope();
  projector.put('t1', scope, 'a').put(`t1' OR true --`, scope, 'b');
  await expect(projector.ingest(test.database)).rejects.toThrow('impossible tenant');
  expect(await rowsOf(scope)).toEqual([]);
});

it('adds entities that begin, and replaces those of them that are there, or come twice', async () => {
  const scope = aScope();
  const message = (...deltas: readonly (readonly [entityId: string, sequence: number])[]): DeltaMessage => {
    const last = String(deltas.at(-1)?.[1]);
    const head = { tenantId: 't1', scope, epoch: 'e1', sequence: last, count: deltas.length, hash: '' };
    const shared = { tenantId: 't1', scope, entityType: 'note', revision: 1, deleted: false, clock: {} };
    const list = deltas.map(([entityId, sequence]) => {
      return { ...shared, entityId, sequence: String(sequence), fieldWrites: null };
    });
    const payload = joinDeltaLines({
      head: JSON.stringify({ origin: 'main', committedAt: null, scopes: [head], grants: [] }),
      deltas: JSON.stringify(list),
      wires: deltas.map(([entityId, sequence]) => JSON.stringify({ entityId, sequence })),
    });
    return { partition: 0, payload };
  };
  const ingest = (...messages: readonly DeltaMessage[]): Promise<unknown> =>
    test.database.transaction((tx) => ingestDeltas(tx, messages));
  await ingest(message(['a', 1], ['b', 2]), message(['c', 3]));
  await ingest(message(['d', 4], ['a', 5]), message(['e', 6], ['f', 7], ['e', 8]));
  await ingest(message(['a', 1], ['b', 2]));
  expect((await rowsOf(scope)).map((row) => [row.entity_id, Number(row.sequence)])).toEqual([
    ...[
      ['b', 2],
      ['c', 3],
      ['d', 4],
      ['a', 5],
      ['f', 7],
      ['e', 8],
    ],
  ]);
});
