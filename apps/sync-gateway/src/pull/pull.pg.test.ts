import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { sqlStateOf, type Tx } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { splitDeltaLines } from '@sync/protocol';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';
import type { CursorPosition } from './cursor-token.ts';
import { type AskedScope, type PageRow, type PullRow, readPull } from './pull-store.ts';

const DEADLOCK = '40P01';

let test: TestDatabase;
const projector = new TestProjector();

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

/** A device that remembers nothing by itself: each test says what it asks. */
function someone(userId = `u-${randomUUID()}`): { tenantId: string; userId: string; deviceId: string } {
  return { tenantId: 't1', userId, deviceId: `d-${randomUUID()}` };
}

function pull(
  device: ReturnType<typeof someone>,
  asked: readonly AskedScope[] | null,
  limit = 500,
): Promise<PullRow[]> {
  return readPull(test.database, device, asked, limit, 0);
}

function fresh(scope: string): AskedScope {
  return { scope, token: null, position: null };
}

function after(page: PageRow | undefined, changes: Partial<CursorPosition> = {}): AskedScope {
  if (!page) throw new Error('no page to go on from');
  return { scope: page.scope, token: 'token', position: { ...page, ...changes } };
}

function pages(rows: readonly PullRow[]): PageRow[] {
  return rows.filter((row) => row.kind === 'scope');
}

function names(rows: readonly PullRow[], kind: PullRow['kind']): (string | null)[] {
  return rows.filter((row) => row.kind === kind).map(({ scope }) => scope);
}

function idsOf(page: PageRow | undefined): string[] {
  const deltas = JSON.parse(`[${page?.parts.join(',') ?? ''}]`) as { entityId: string }[];
  return deltas.map(({ entityId }) => entityId);
}

async function filled(count: number): Promise<{ device: ReturnType<typeof someone>; scope: string }> {
  const device = someone();
  const scope = `user:${device.userId}`;
  for (let at = 0; at < count; at += 1) projector.put('t1', scope, `n${at}`, { at });
  if (count > 0) await projector.ingest(test.database);
  return { device, scope };
}

describe('a page', () => {
  it('holds exactly `limit` deltas in commit order and says whether there are more', async () => {
    const { device, scope } = await filled(5);
    const [first] = pages(await pull(device, [fresh(scope)], 2));
    expect(first).toMatchObject({
      reason: 'first',
      item_count: 2,
      has_more: true,
      sequence: '2',
      floor: '5',
    });
    expect(idsOf(first)).toEqual(['n0', 'n1']);
    const [second] = pages(await pull(device, [after(first)], 3));
    expect(second).toMatchObject({ reason: null, item_count: 3, has_more: false, sequence: '5', floor: '0' });
    const digest = projector.digest('t1', scope);
    expect({ count: Number(second?.live_count), hash: second?.hash }).toEqual(digest);
    const [third] = pages(await pull(device, [after(second)], 3));
    expect(third).toMatchObject({ reason: null, item_count: 0, has_more: false, sequence: '5', items: null });
  });

  it('shares the limit over all asked scopes in their order', async () => {
    const { device, scope } = await filled(3);
    projector
      .put('t1', 'course:c1', 'b1')
      .put('t1', 'course:c1', 'b2')
      .grant('t1', device.userId, 'course:c1');
    await projector.ingest(test.database);
    const asked = [fresh('course:c1'), fresh(scope)];
    const [course, user] = pages(await pull(device, asked, 4));
    expect([course?.item_count, course?.has_more, user?.item_count, user?.has_more]).toEqual([
      2,
      false,
      2,
      true,
    ]);
    const cut = pages(await pull(someoneLike(device), asked, 2));
    expect(cut.map(({ item_count, has_more, reason }) => [item_count, has_more, reason])).toEqual([
      [2, false, 'first'],
      [0, true, 'first'],
    ]);
    expect(cut[1]).toMatchObject({ sequence: '0', floor: '3' });
  });

  it('sends the wire text byte for byte', async () => {
    const { device, scope } = await filled(0);
    projector.put('t1', scope, 'odd', { text: 'ü "quoted" \\ \u2028', number: 1e21 });
    const message = projector.message();
    const { wires: wire } = splitDeltaLines(message);
    await projector.ingest(test.database, [message]);
    const [page] = pages(await pull(device, [fresh(scope)]));
    expect(page?.parts).toEqual([wire]);
  });

  it('is cut at the byte bound, never below one delta', async () => {
    const { device, scope } = await filled(0);
    for (let at = 0; at < 5; at += 1) projector.put('t1', scope, `n${at}`, { text: 'x'.repeat(1_000) });
    await projector.ingest(test.database);
    const cut = async (asked: AskedScope, bytes: number): Promise<PageRow | undefined> =>
      pages(await readPull(test.database, device, [asked], 500, 0, bytes))[0];
    const first = await cut(fresh(scope), 2_500);
    expect(first).toMatchObject({ has_more: true, item_count: 2, sequence: '2' });
    expect(await cut(after(first), 10)).toMatchObject({ has_more: true, item_count: 1, sequence: '3' });
    expect(await cut(after(first), 10_000)).toMatchObject({ has_more: false, item_count: 3 });
  });

  it('comes in parts, which the limit and the byte bound cut wherever they fall', async () => {
    const { device, scope } = await filled(0);
    for (let at = 0; at < 200; at += 1) projector.put('t1', scope, `n${String(at).padStart(3, '0')}`, { at });
    await projector.ingest(test.database);
    const read = async (asked: AskedScope, limit: number, bytes?: number): Promise<PageRow | undefined> =>
      pages(await readPull(test.database, device, [asked], limit, 0, bytes))[0];
    const whole = await read(fresh(scope), 500);
    expect(whole).toMatchObject({ item_count: 200, has_more: false });
    expect(whole?.parts.length).toBeGreaterThan(2);
    const ids = idsOf(whole);
    expect(new Set(ids).size).toBe(200);
    // Limits at and beside the borders of parts, bounds in the middle of each.
    for (const limit of [1, 63, 64, 65, 128, 129, 199]) {
      const page = await read(fresh(scope), limit);
      expect(page).toMatchObject({ item_count: limit, has_more: true, sequence: String(limit) });
      expect(idsOf(page)).toEqual(ids.slice(0, limit));
      expect(idsOf(await read(after(page), 500))).toEqual(ids.slice(limit));
    }
    const length = Buffer.byteLength(whole?.parts[0] ?? '');
    for (const bytes of [length - 1, length + 10, 2 * length + 10]) {
      const page = await read(fresh(scope), 500, bytes);
      expect(page?.has_more).toBe(true);
      expect(page?.item_count).toBe(idsOf(page).length);
      // The bound counts deltas, not the commas between them.
      const commas = page?.item_count ?? 0;
      expect(Buffer.byteLength(page?.parts.join('') ?? '')).toBeLessThanOrEqual(bytes + commas);
      expect([...idsOf(page), ...idsOf(await read(after(page), 500))]).toEqual(ids);
    }
  });
});

/** Another device of the same user. */
function someoneLike(device: ReturnType<typeof someone>): ReturnType<typeof someone> {
  return { ...device, deviceId: `d-${randomUUID()}` };
}

describe('a full resync', () => {
  it.each([
    ['a cursor of an old epoch', { epoch: 'e0' }, 'epoch'],
    ['a cursor of another origin', { origin: 'elsewhere' }, 'epoch'],
    ['a cursor ahead of the head', { sequence: '99' }, 'ahead'],
    ['a cursor of a copy begun earlier', { generation: '1' }, 'unheld'],
  ])('starts from %s', async (_name, changes, reason) => {
    const { device, scope } = await filled(2);
    const [page] = pages(await pull(device, [fresh(scope)]));
    const [again] = pages(await pull(device, [after(page, changes)]));
    expect(again).toMatchObject({ reason, item_count: 2, has_more: false });
  });

  it('starts when the device never began a copy, or purged it', async () => {
    const { device, scope } = await filled(2);
    const [page] = pages(await pull(device, [fresh(scope)]));
    const [other] = pages(await pull(someoneLike(device), [after(page)]));
    expect(other?.reason).toBe('unheld');
    const [asked] = pages(await pull(device, [fresh(scope)]));
    expect(asked?.reason).toBe('asked');
    expect(asked?.generation).toBe(page?.generation);
  });

  it('skips deletions made before it and sends those made while it is paged', async () => {
    const { device, scope } = await filled(4);
    projector.delete('t1', scope, 'n1');
    await projector.ingest(test.database);
    const [first] = pages(await pull(device, [fresh(scope)], 2));
    expect(idsOf(first)).toEqual(['n0', 'n2']);
    projector.delete('t1', scope, 'n0').delete('t1', scope, 'n3');
    await projector.ingest(test.database);
    const [second] = pages(await pull(device, [after(first)]));
    expect(idsOf(second)).toEqual(['n0', 'n3']);
    expect(second?.has_more).toBe(false);
  });

  it('ends without a further page when only old deletions are left', async () => {
    const { device, scope } = await filled(3);
    projector.delete('t1', scope, 'n2');
    await projector.ingest(test.database);
    const [page] = pages(await pull(device, [fresh(scope)], 2));
    expect(page).toMatchObject({ item_count: 2, has_more: false, sequence: '4', floor: '0' });
  });

  it('is not asked for where the first projection into a scope comes after the first pull', async () => {
    const { device, scope } = await filled(0);
    const [empty] = pages(await pull(device, [fresh(scope)]));
    expect(empty).toMatchObject({ reason: 'first', origin: '', epoch: '0', sequence: '0', live_count: '0' });
    expect(pages(await pull(device, [after(empty)]))[0]).toMatchObject({ reason: null, sequence: '0' });
    projector.put('t1', scope, 'n1').put('t1', scope, 'gone').delete('t1', scope, 'gone');
    await projector.ingest(test.database);
    const [page] = pages(await pull(device, [after(empty)]));
    expect(page).toMatchObject({ reason: null, epoch: 'e1', sequence: '3', has_more: false });
    expect(idsOf(page)).toEqual(['n1', 'gone']);
  });

  it('starts below the retention of deletions, and above it does not', async () => {
    const { device, scope } = await filled(3);
    const [before] = pages(await pull(device, [fresh(scope)]));
    projector.delete('t1', scope, 'n0').put('t1', scope, 'n9');
    await projector.ingest(test.database);
    const [behind] = pages(await pull(device, [after(before)], 1));
    await test.database.inTenant('t1', (tx) =>
      tx.query(`UPDATE scope_delta SET stored_at = now() - interval '31 days' WHERE scope = $1 AND deleted`, [
        scope,
      ]),
    );
    await test.database.call('prune_test', `SELECT prune_tombstones('t1', 30, 1000)`, []);
    const [late] = pages(await pull(device, [after(before)]));
    expect(late).toMatchObject({ reason: 'retention', item_count: 3 });
    const [inTime] = pages(await pull(device, [after(behind)]));
    expect(inTime).toMatchObject({ reason: null, item_count: 1 });
  });

  it('is reported as a sync event when the device did not ask for it', async () => {
    const { device, scope } = await filled(1);
    const [page] = pages(await pull(device, [fresh(scope)]));
    await pull(device, [after(page, { epoch: 'e0' })]);
    const [row] = await test.database.call<{ payload: string }>(
      'events_test',
      `SELECT payload FROM sync_outbox WHERE payload LIKE '%' || $1 || '%' ORDER BY id DESC LIMIT 1`,
      [device.deviceId],
    );
    const events = JSON.parse(row?.payload ?? '[]') as object[];
    expect(events).toMatchObject([
      { type: 'sync.resync.required.v1', tenantid: 't1', data: { scopes: [scope], reason: 'epoch' } },
    ]);
  });
});

describe('scopes', () => {
  it('omitted are all that the user holds, the own first', async () => {
    const { device, scope } = await filled(1);
    projector.grant('t1', device.userId, 'course:b').grant('t1', device.userId, 'course:a');
    await projector.ingest(test.database);
    expect(pages(await pull(device, null)).map((page) => page.scope)).toEqual([
      scope,
      'course:a',
      'course:b',
    ]);
  });

  it('that are not held say the same whether they exist or not', async () => {
    const { device, scope } = await filled(0);
    projector.put('t1', 'course:secret', 'b1');
    await projector.ingest(test.database);
    const rows = await pull(device, [
      fresh('course:secret'),
      fresh('course:nowhere'),
      fresh(scope),
      fresh('user:other'),
    ]);
    expect(pages(rows).map((page) => page.scope)).toEqual([scope]);
    const notes = rows.filter((row) => row.kind !== 'scope');
    const revoked = notes.filter(({ kind }) => kind === 'revoked');
    expect(revoked.map(({ scope: name, items, reason }) => [name, items, reason])).toEqual([
      ['course:nowhere', null, null],
      ['course:secret', null, null],
      ['user:other', null, null],
    ]);
  });

  it('held by the device and taken from the user are revoked until the purge is acked, asked for or not', async () => {
    const { device, scope } = await filled(1);
    projector.put('t1', 'course:r', 'b1').grant('t1', device.userId, 'course:r');
    await projector.ingest(test.database);
    await pull(device, [fresh('course:r')]);
    projector.grant('t1', device.userId, 'course:r', false);
    await projector.ingest(test.database);
    expect(names(await pull(device, [fresh(scope)]), 'revoked')).toEqual(['course:r']);
    expect(names(await pull(someoneLike(device), [fresh(scope)]), 'revoked')).toEqual([]);
  });

  it('granted and never served to the device are named', async () => {
    const { device, scope } = await filled(1);
    projector.grant('t1', device.userId, 'course:new');
    await projector.ingest(test.database);
    expect(names(await pull(device, [fresh(scope)]), 'granted')).toEqual(['course:new']);
    await pull(device, [fresh('course:new')]);
    expect(names(await pull(device, [fresh(scope)]), 'granted')).toEqual([]);
  });

  it('of two sources stay held until both are taken back', async () => {
    const device = someone();
    projector
      .grant('t1', device.userId, 'course:two', true, 'e1')
      .grant('t1', device.userId, 'course:two', true, 'e2');
    await projector.ingest(test.database);
    projector.grant('t1', device.userId, 'course:two', false, 'e1');
    await projector.ingest(test.database);
    expect(pages(await pull(device, [fresh('course:two')]))).toHaveLength(1);
    projector.grant('t1', device.userId, 'course:two', false, 'e2');
    await projector.ingest(test.database);
    expect(pages(await pull(device, [fresh('course:two')]))).toHaveLength(0);
  });

  it('of another tenant with the same names hold nothing of ours', async () => {
    const { device, scope } = await filled(2);
    const [page] = pages(await pull({ ...device, tenantId: 't2' }, [fresh(scope)]));
    expect(page).toMatchObject({ item_count: 0, epoch: '0' });
  });
});

it('costs one round trip', async () => {
  const { device, scope } = await filled(3);
  const before = test.database.roundTrips;
  await pull(device, [fresh(scope)]);
  expect(test.database.roundTrips - before).toBe(1);
});

/**
 * Of the two in a deadlock Postgres ends the one that looks first, after it has waited for a second. On a
 * busy machine the pull may have looked before there was a deadlock: then it was the other one's turn.
 */
async function untilPullIsEnded(meet: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await meet();
      return;
    } catch (error) {
      if (sqlStateOf(error) !== DEADLOCK || attempt === 10) throw error;
    }
  }
}

it('a pull that meets an ack in a deadlock is read again', async () => {
  const device = someone();
  const scopes = [`course:a-${randomUUID()}`, `course:b-${randomUUID()}`];
  for (const scope of scopes) projector.put('t1', scope, 'n1').grant('t1', device.userId, scope);
  await projector.ingest(test.database);
  const asked = scopes.map(fresh);
  await pull(device, asked);
  const touch = `UPDATE device_scope SET acked_at = now() WHERE device_id = $1 AND scope = $2`;
  let pulled: Promise<PullRow[]> | undefined;
  const meet = async (tx: Tx): Promise<void> => {
    await pulled;
    await tx.query(touch, [device.deviceId, scopes[1]]);
    pulled = pull(device, asked);
    // Outside of this transaction, which would see the same activity for ever.
    const waiting = `SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`;
    while ((await test.database.call('waiting', waiting, [])).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await tx.query(touch, [device.deviceId, scopes[0]]);
  };
  await untilPullIsEnded(() => test.database.inTenant('t1', meet));
  expect(pages((await pulled) ?? []).map(({ scope }) => scope)).toEqual(scopes);
});
